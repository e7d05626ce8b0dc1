"""What was tried, and how it ended: one row of the table."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

COLUMNS = ("kind", "tried", "passed", "failed", "seed", "seconds", "what")
SHOWN = 12
"""Failures of a kind that are printed."""


@dataclass
class Tally:
    """One kind of torture, counted while it goes on."""

    kind: str
    seed: int
    tried: int = 0
    failures: list[str] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    """How often what was hit, for the last column."""
    skipped: str = ""
    """Why nothing was tried."""
    _began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def count(self, fault: str | None, note: str | None = None) -> None:
        """One more was tried; it failed where there is a fault."""
        self.tried += 1
        self.seconds = time.monotonic() - self._began
        if note is not None:
            self.notes[note] += 1
        if fault is not None:
            self.failures.append(fault)

    @property
    def row(self) -> tuple[str, ...]:
        """The cells of the table."""
        if self.skipped:
            return (self.kind, "0", "0", "0", str(self.seed), "0", f"skipped: {self.skipped}")
        failed = len(self.failures)
        notes = ", ".join(f"{name} {number}" for name, number in self.notes.most_common())
        numbers = (self.tried, self.tried - failed, failed, self.seed, round(self.seconds))
        return (self.kind, *map(str, numbers), notes)


def table(tallies: list[Tally]) -> str:
    """All rows under their heads, as Markdown."""
    rows = [COLUMNS, *(tally.row for tally in tallies)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(COLUMNS) - 1)]
    lines = ["| " + " | ".join([*map(str.ljust, row[:-1], widths), row[-1]]) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|---|")
    return "\n".join(lines)


def failures(tallies: list[Tally]) -> list[str]:
    """A line for each failure that is shown."""
    lines = []
    for tally in tallies:
        lines += [f"{tally.kind}: {fault}" for fault in tally.failures[:SHOWN]]
        if len(tally.failures) > SHOWN:
            lines.append(f"{tally.kind}: … and {len(tally.failures) - SHOWN} more")
    return lines
