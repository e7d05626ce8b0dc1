"""AU11: accuracy and error of the same images make one."""

from __future__ import annotations

from collections.abc import Iterator

from normlab.stats.audit.heads import ACCURACY, ERROR, TOP5, TOP5_ERROR
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

CODE = "AU11"
TITLE = "accuracy and error make one"
NEEDS_IMAGES = False


def check(audited: Audited) -> Iterator[Finding]:
    """Every row that prints both, and whose sum is not 100 %."""
    for table, entry in audited.entries():
        for right, wrong in ((ACCURACY, ERROR), (TOP5, TOP5_ERROR)):
            for a, e, doubt in paired(entry, right, wrong):
                if not a.low + e.low <= 1 <= a.high + e.high:
                    total = in_units_of(a, a.value + e.value, e)
                    text = f"{right} {a.text} and {wrong} {beside(e, a)} make {total}{doubt}"
                    kind: Kind = "question" if doubt else "certain"
                    yield finding(CODE, kind, table, about(entry, a), text, [a, e])
