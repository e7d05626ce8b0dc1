"""AU11: accuracy and error of the same images make one."""

from __future__ import annotations

from collections.abc import Iterator

from normlab.stats.audit.heads import ACCURACY, ERROR, TOP5, TOP5_ERROR
from normlab.stats.audit.rules.base import Audited, Finding, about, finding

CODE = "AU11"
TITLE = "accuracy and error make one"
NEEDS_IMAGES = False


def check(audited: Audited) -> Iterator[Finding]:
    """Every row that prints both, and whose sum is not 100 %."""
    for table, entry in audited.entries():
        for part in entry.parts():
            for right, wrong in ((ACCURACY, ERROR), (TOP5, TOP5_ERROR)):
                a, e = entry.get(right, part), entry.get(wrong, part)
                if a is None or e is None or not (a.usable and e.usable):
                    continue
                if not a.low + e.low <= 1 <= a.high + e.high:
                    text = f"{right} {a.text} and {wrong} {e.text} make {a.value + e.value:.4f}"
                    yield finding(CODE, "certain", table, about(entry, a), text, [a, e])
