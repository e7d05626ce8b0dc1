"""AU08: one run an arm has no spread, once for all tables."""

from __future__ import annotations

from collections.abc import Iterator

from normlab.stats.audit.rules.base import Audited, Finding, finding
from normlab.text import count

CODE = "AU08"
TITLE = "more than one run an arm"
NEEDS_IMAGES = False


def check(audited: Audited) -> Iterator[Finding]:
    """One line for all tables that give neither a spread nor a number of runs."""
    if audited.known.runs is not None and audited.known.runs > 1:
        return
    bare = [
        table
        for table in audited.tables
        if not table.has_spread and table.runs in (None, 1) and len(table.entries) > 1
    ]
    if bare:
        rows = sum(len(table.entries) for table in bare)
        text = (
            f"{count(len(bare), 'table')} give{'s' if len(bare) == 1 else ''} no spread and no "
            "number of runs: another seed may turn every order round"
        )
        yield finding(CODE, "question", bare[0], count(rows, "row"), text)
