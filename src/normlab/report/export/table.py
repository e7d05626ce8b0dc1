"""A table as plain data, before it has a form; formats.py gives it one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from normlab.stats.inference.intervals import Summary


@dataclass(frozen=True)
class Printed:
    """Numbers with the text that people read; files for programs hold the numbers.

    All are in the unit of the text and its heading: points where it says points.
    """

    value: float | None
    text: str
    sd: float | None = None
    interval: tuple[float, float] | None = None
    """Its two ends; without a value it is an interval alone."""


Cell = str | int | Summary | Printed
"""Text, a count, a mean with its standard deviation, or another number."""


@dataclass(frozen=True)
class Table:
    """A table of a paper, before it has a form."""

    slug: str
    """Portable characters only: the file's name and the page's anchor."""
    title: str
    caption: str
    head: tuple[str, ...]
    """With the unit, where the numbers have one: a CSV file has no caption."""
    rows: tuple[tuple[Cell, ...], ...]

    @cached_property
    def text_columns(self) -> tuple[bool, ...]:
        """Whether each column holds text: text is set to the left, numbers to the right."""
        return tuple(
            index == 0
            or all(isinstance(c := row[index], str) and not _is_number(c) for row in self.rows)
            for index in range(len(self.head))
        )


def _is_number(cell: Cell) -> bool:
    """Printed numbers, alone or in brackets, are set to the right like numbers."""
    return isinstance(cell, str) and bool(cell) and not any(c.isalpha() for c in cell.rstrip("×"))
