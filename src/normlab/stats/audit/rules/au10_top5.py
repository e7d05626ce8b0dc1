"""AU10: the right class is among five guesses wherever it is the first."""

from __future__ import annotations

from collections.abc import Iterator

from normlab.stats.audit.heads import ACCURACY, ERROR, TOP5, TOP5_ERROR
from normlab.stats.audit.rules.base import Audited, Finding, about, finding

CODE = "AU10"
TITLE = "top-5 not below top-1"
NEEDS_IMAGES = False


def check(audited: Audited) -> Iterator[Finding]:
    """Every row whose top-5 accuracy is below its top-1 accuracy, or errors the other way round."""
    for table, entry in audited.entries():
        for part in entry.parts():
            for less, more in ((ACCURACY, TOP5), (TOP5_ERROR, ERROR)):
                small, large = entry.get(less, part), entry.get(more, part)
                if small is None or large is None or not (small.usable and large.usable):
                    continue
                if large.high < small.low:
                    text = f"{more} {large.text} is below {less} {small.text}"
                    row = about(entry, large)
                    yield finding(CODE, "certain", table, row, text, [small, large])
