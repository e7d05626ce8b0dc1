"""AU03: macro F1 and accuracy are within their possible distance.

With classes of equal size, 2a²/(1 + a) ≤ macro F1 ≤ 2a/(1 + a) for the accuracy a, by Cauchy's and
by Jensen's inequality; both bounds are convex the right way, so that they hold for means of runs.
Where the sizes are not known, a figure outside is a question.
"""

from __future__ import annotations

from collections.abc import Iterator

from normlab.stats.audit.heads import ACCURACY, MACRO_F1
from normlab.stats.audit.rules.base import (
    Audited,
    Finding,
    Kind,
    about,
    beside,
    finding,
    in_units_of,
    paired,
)

CODE = "AU03"
TITLE = "macro F1 within its bounds"
NEEDS_IMAGES = False


def check(audited: Audited) -> Iterator[Finding]:
    """Every macro F1 that classes of equal size cannot give."""
    for table, entry in audited.entries():
        for accuracy, macro, part_doubt in paired(entry, ACCURACY, MACRO_F1):
            least, most = max(0.0, accuracy.low), min(1.0, accuracy.high)
            low, high = 2 * least**2 / (1 + least), 2 * most / (1 + most)
            if macro.high >= low and macro.low <= high:
                continue
            balanced = audited.is_balanced(macro)
            text = (
                f"macro F1 {macro.text} is outside [{in_units_of(macro, low)}, "
                f"{in_units_of(macro, high)}] for accuracy {beside(accuracy, macro)} over "
                f"classes of equal size{part_doubt}"
            )
            if not balanced:
                text += (
                    "; are the classes of very different size? (--balanced says that they are not)"
                )
            kind: Kind = "certain" if balanced and not part_doubt else "question"
            yield finding(CODE, kind, table, about(entry, macro), text, [accuracy, macro])
