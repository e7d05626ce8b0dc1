"""AU09: two factors that always change together cannot be told apart."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

from normlab.stats.audit.model import PublishedTable
from normlab.stats.audit.rules.base import Audited, Finding, finding

CODE = "AU09"
TITLE = "factors vary apart"
NEEDS_IMAGES = False
_FACTORS = {
    "batch size": r"\bbatch(?:[\s_-]?size)?\b|\bbs\b",
    "optimizer": r"optimi[sz]er|\bopt\b",
    "learning rate": r"learning[\s_-]?rate|\blr\b",
    "normalization": r"\bnorm(?:ali[sz]ation)?\b|\bscheme\b",
    "weight decay": r"weight[\s_-]?decay|\bwd\b",
    "epochs": r"\bepochs?\b",
    "augmentation": r"augment\w*|\baug\b",
    "schedule": r"schedule\w*",
    "dropout": r"drop[\s_-]?out",
}


def check(audited: Audited) -> Iterator[Finding]:
    """Pairs of factors of one table of which each value of one goes with one value of the other."""
    for table in audited.tables:
        columns = _factors(table)
        for (one, a), (other, b) in itertools.combinations(columns.items(), 2):
            pairs = {(x, y) for x, y in zip(a, b, strict=True) if x and y}
            levels = {x for x, _ in pairs}, {y for _, y in pairs}
            if len(levels[0]) > 1 and len(pairs) == len(levels[0]) == len(levels[1]):
                listed = ", ".join(f"{x} with {y}" for x, y in sorted(pairs))
                text = (
                    f"{one} and {other} change together ({listed}): a difference may come from "
                    "either"
                )
                yield finding(CODE, "question", table, f"{one} and {other}", text)


def _factors(table: PublishedTable) -> Mapping[str, Sequence[str]]:
    """The columns of a table that are factors of training, each with its values by row."""
    figures = table.figures
    rows = sorted({figure.row for figure in figures})
    if not rows or len(rows) < 2:
        return {}
    taken = {figure.column for figure in figures}
    found: dict[str, Sequence[str]] = {}
    for column, head in enumerate(table.raw.cells[0]):
        if column in taken:
            continue
        for name, pattern in _FACTORS.items():
            if re.search(pattern, head.text, re.IGNORECASE) and len(head.text) < 25:
                values = [table.raw.cells[row][column].text for row in rows]
                found.setdefault(name, values)
                break
    return found
