"""AU03: macro F1 and accuracy are within their possible distance.

With classes of equal size, 2a²/(1 + a) ≤ macro F1 ≤ 2a/(1 + a) for the accuracy a, by Cauchy's and
by Jensen's inequality; both bounds are convex the right way, so that they hold for means of runs.
Where the sizes are not known, a figure outside is a question.
"""

from __future__ import annotations

from collections.abc import Iterator

from normlab.stats.audit.heads import ACCURACY, MACRO_F1
from normlab.stats.audit.rules.base import Audited, Finding, about, finding

CODE = "AU03"
TITLE = "macro F1 within its bounds"
NEEDS_IMAGES = False


def check(audited: Audited) -> Iterator[Finding]:
    """Every macro F1 that classes of equal size cannot give."""
    for table, entry in audited.entries():
        for part in entry.parts():
            accuracy, macro = entry.get(ACCURACY, part), entry.get(MACRO_F1, part)
            if accuracy is None or macro is None or not (accuracy.usable and macro.usable):
                continue
            least, most = max(0.0, accuracy.low), min(1.0, accuracy.high)
            low, high = 2 * least**2 / (1 + least), 2 * most / (1 + most)
            if macro.high >= low and macro.low <= high:
                continue
            balanced = audited.is_balanced(macro)
            text = (
                f"macro F1 {macro.text} is outside [{low:.4f}, {high:.4f}] for accuracy "
                f"{accuracy.text} over classes of equal size"
            )
            if not balanced:
                text += (
                    "; are the classes of very different size? (--balanced says that they are not)"
                )
            kind = "certain" if balanced else "question"
            yield finding(
                CODE,
                "certain" if kind == "certain" else "question",
                table,
                about(entry, macro),
                text,
                [accuracy, macro],
            )
