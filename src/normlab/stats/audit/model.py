"""A published table that has been read: every figure with all that says what it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from normlab.stats.audit.grid import RawTable
from normlab.stats.audit.heads import LOSS
from normlab.stats.audit.numbers import Printed


@dataclass(frozen=True)
class Figure:
    """One number of a table; a share is a fraction of 1."""

    metric: str
    part: str
    """"train", "validation", "test", or "" where nothing says."""
    dataset: str
    printed: Printed
    value: float
    unit: float
    """What one step of the last digit is worth."""
    known_scale: bool
    """False where nothing says whether the number is a share or per cent."""
    averaged: bool
    """Whether its head or row says that it is a mean."""
    row: int
    column: int

    @property
    def text(self) -> str:
        """As printed."""
        return self.printed.text

    @property
    def low(self) -> float:
        """The least value that rounds or is cut to what is printed."""
        return self.value - self.unit / 2 - self._noise

    @property
    def high(self) -> float:
        """The bound of the values that round or are cut to what is printed."""
        return self.value + self.unit + self._noise

    @property
    def is_signed(self) -> bool:
        """Whether a per cent sign stands in its own cell."""
        return self.printed.text.endswith("%")

    @property
    def scale(self) -> int:
        """100 if it is printed in per cent, else 1."""
        return round(10.0**-self.printed.decimals / self.unit)

    @property
    def _noise(self) -> float:
        """The rounding of a number that was computed with 32 bits."""
        return max(1e-9, abs(self.value) * 1.2e-7)

    @property
    def usable(self) -> bool:
        """Whether its digits may be taken at their word."""
        return self.printed.exact and self.known_scale


@dataclass(frozen=True)
class Entry:
    """What belongs to one network: a row, a column, or a part of either."""

    labels: tuple[str, ...]
    """Leading columns and what the heads say beside the metric."""
    name: str
    """The labels in short, for people."""
    dataset: str
    extras: tuple[str, ...]
    """All other cells of its row, which may say what it is as well."""
    figures: Mapping[tuple[str, str], Figure]
    """By metric and part."""

    def parts(self) -> tuple[str, ...]:
        """The parts that it has figures of."""
        return tuple(dict.fromkeys(part for _, part in self.figures))

    def get(self, metric: str, part: str) -> Figure | None:
        """The figure of a metric on a part."""
        return self.figures.get((metric, part))


@dataclass(frozen=True)
class PublishedTable:
    """One table."""

    raw: RawTable
    title: str
    entries: tuple[Entry, ...]
    columns: tuple[tuple[str, str], ...]
    """The heads (or rows) that were read, each with its metric."""
    unused: tuple[str, ...]
    """Heads of columns that were left aside."""
    unread: tuple[str, ...]
    """Cells in columns of figures that are no number that could be read."""
    runs: int | None
    """How many runs a figure is the mean of; 0: a mean of unknown many; None: nothing is said."""
    elsewhere: bool
    """Whether the document speaks of several runs in another place."""
    doubt: str
    """Words of the document by which an image may have several labels, or none of one kind."""
    has_spread: bool
    """Whether it gives a spread over runs."""
    metric_rows: bool
    """Whether the rows, not the columns, say the metric."""

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All figures."""
        return tuple(f for entry in self.entries for f in entry.figures.values())

    def line_of(self, figure: Figure) -> tuple[Figure, ...]:
        """All figures of the same metric under the same head, its own among them."""
        return tuple(
            f
            for f in self.figures
            if f.metric == figure.metric
            and (f.row == figure.row if self.metric_rows else f.column == figure.column)
        )

    def shares(self) -> Iterator[tuple[Entry, Figure]]:
        """All figures but losses, with their entries."""
        for entry in self.entries:
            for figure in entry.figures.values():
                if figure.metric != LOSS:
                    yield entry, figure
