"""AU10: the right class is among five guesses wherever it is the first."""

from __future__ import annotations

from collections.abc import Iterator

from normlab.stats.audit.heads import ACCURACY, ERROR, TOP5, TOP5_ERROR
from normlab.stats.audit.rules.base import Audited, Finding, Kind, about, beside, finding, paired

CODE = "AU10"
TITLE = "top-5 not below top-1"
NEEDS_IMAGES = False


def check(audited: Audited) -> Iterator[Finding]:
    """Every row whose top-5 accuracy is below its top-1 accuracy, or errors the other way round."""
    for table, entry in audited.entries():
        for less, more in ((ACCURACY, TOP5), (TOP5_ERROR, ERROR)):
            for small, large, doubt in paired(entry, less, more):
                if large.high < small.low:
                    text = f"{more} {large.text} is below {less} {beside(small, large)}{doubt}"
                    kind: Kind = "question" if doubt else "certain"
                    row = about(entry, large)
                    yield finding(CODE, kind, table, row, text, [small, large])
