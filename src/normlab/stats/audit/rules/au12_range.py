"""AU12: a share lies between 0 and 1."""

from __future__ import annotations

from collections.abc import Iterator

from normlab.stats.audit.rules.base import Audited, Finding, about, finding

CODE = "AU12"
TITLE = "shares between 0 and 1"
NEEDS_IMAGES = False


def check(audited: Audited) -> Iterator[Finding]:
    """Every share above 100 %, in a column whose other figures are shares."""
    for table in audited.tables:
        shares = list(table.shares())
        for entry, figure in shares:
            others = [
                f for _, f in shares if f.metric == figure.metric and f.column == figure.column
            ]
            inside = sum(0 <= f.value <= 1 for f in others)
            if figure.value > 1 + 1e-9 and figure.usable and inside * 2 > len(others):
                text = f"{figure.metric} {figure.text} is {100 * figure.value:g} %"
                yield finding(CODE, "certain", table, about(entry, figure), text, [figure])
