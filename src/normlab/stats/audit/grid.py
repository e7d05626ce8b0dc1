"""A table as its cells, whatever the format it came in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Cell:
    """The plain text of one place in a table."""

    text: str
    copied: bool = False
    """Whether the place belongs to a merged cell that begins further left or above."""


EMPTY = Cell("")


@dataclass(frozen=True)
class RawTable:
    """Cells in rows of equal length, and all words around them that may say what they are."""

    cells: tuple[tuple[Cell, ...], ...]
    line: int
    """The line in the file where the table begins, from 1."""
    header_rows: int | None = None
    """How many rows are heads; None where the format does not say."""
    caption: str = ""
    headings: tuple[str, ...] = ()
    """The headings above it, the outermost first."""
    above: str = ""
    """The nearest paragraph above it under the same heading."""
    near: bool = False
    """Whether nothing stands between that paragraph and the table."""
    below: str = ""
    """The paragraph right below it."""
    file: str = ""

    @property
    def title(self) -> str:
        """The caption, else the paragraph above, else the heading, shortened for a report."""
        text = self.caption or self.above or (self.headings[-1] if self.headings else "")
        text = " ".join(text.split())
        return text if len(text) <= 90 else text[:87].rstrip() + "…"


@dataclass
class Span:
    """A cell on its way into a grid: its text, and how many rows and columns it covers."""

    text: str
    columns: int = 1
    rows: int = 1


@dataclass
class _Below:
    text: str
    rows: int


@dataclass
class GridBuilder:
    """Undoes merged cells: every place that a cell covers gets its text, all but one as a copy."""

    placeholders: bool = False
    """Whether rows have an empty cell where one above covers them, as in LaTeX."""
    rows: list[list[Cell]] = field(default_factory=list)
    _open: dict[int, _Below] = field(default_factory=dict)

    def add(self, spans: Sequence[Span]) -> None:
        """Add one row; what a cell above still covers is left out, or empty."""
        row: list[Cell] = []
        waiting = list(spans)
        while waiting or any(column >= len(row) for column in self._open):
            column = len(row)
            if column in self._open and self.placeholders and waiting and waiting[0].text:
                del self._open[column]  # the cell above was said to be taller than it is
            elif column in self._open:
                if self.placeholders and waiting:
                    waiting[0].columns -= 1
                    waiting = waiting if waiting[0].columns > 0 else waiting[1:]
                row.append(Cell(self._open[column].text, copied=True))
                self._close(column)
            elif waiting:
                span = waiting.pop(0)
                for index in range(max(span.columns, 1)):
                    if span.rows > 1:
                        self._open[column + index] = _Below(span.text, span.rows - 1)
                    row.append(Cell(span.text, copied=index > 0))
            else:
                row.append(EMPTY)
        self.rows.append(row)

    def _close(self, column: int) -> None:
        self._open[column].rows -= 1
        if self._open[column].rows <= 0:
            del self._open[column]


def rectangular(rows: Sequence[Sequence[Cell]]) -> tuple[tuple[Cell, ...], ...]:
    """Rows filled up to one length; rows without any text are left out."""
    width = max((len(row) for row in rows), default=0)
    return tuple(
        (*row, *[EMPTY] * (width - len(row))) for row in rows if any(cell.text for cell in row)
    )


def side_by_side(table: RawTable) -> Iterator[tuple[RawTable, int]]:
    """Tables that stand beside each other, parted by empty columns, and where each begins."""
    width = len(table.cells[0]) if table.cells else 0
    first = 0
    for column in range(width + 1):
        if column == width or not any(row[column].text for row in table.cells):
            if column > first:
                cells = tuple(row[first:column] for row in table.cells)
                yield replace(table, cells=cells), first
            first = column + 1
