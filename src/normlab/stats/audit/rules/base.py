"""What a rule gets and what it gives."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from normlab.stats.audit.heads import DATASETS
from normlab.stats.audit.model import Entry, Figure, PublishedTable

Kind = Literal["certain", "question"]
Z = 1.959964
_HELD_OUT = ("validation", "test")
_STANDARD = {one.name: one for one in DATASETS}


@dataclass(frozen=True)
class Finding:
    """One finding: where it is, which rule, and the arithmetic."""

    code: str
    kind: Kind
    file: str
    table: str
    line: int
    row: str
    arithmetic: str
    cells: tuple[tuple[int, int], ...] = ()
    """Row and column of the cells that it is about, heads counted, from 0."""
    values: tuple[str, ...] = ()
    """Their numbers as printed."""


@dataclass(frozen=True)
class Known:
    """What the reader of a paper knows beside its tables."""

    images: int | None = None
    """Images of the part that the figures are of."""
    by_name: Mapping[str, int] = field(default_factory=dict)
    """Images by data set or part, in lower case."""
    runs: int | None = None
    """How many runs every figure is the mean of."""
    balanced: bool = False
    """Whether all classes have equally many images."""
    same: Mapping[str, str] = field(default_factory=dict)
    """Names of rows that are one cell."""


@dataclass
class Audited:
    """All tables that are held against each other, and what is known of them."""

    tables: Sequence[PublishedTable]
    known: Known
    notes: list[str] = field(default_factory=list)
    """What was not tested, and why."""

    @cached_property
    def parts(self) -> frozenset[str]:
        """The parts that any figure is said to be of."""
        return frozenset(f.part for table in self.tables for f in table.figures)

    def images_of(self, figure: Figure) -> int | None:
        """How many images a figure is a share of; None where nobody says."""
        for name in (figure.dataset.lower(), figure.part):
            if name and name in self.known.by_name:
                return self.known.by_name[name]
        if self.known.images is None or figure.part == "train":
            return None
        standard = _STANDARD.get(figure.dataset)
        number = f"{self.known.images:,}"
        if standard is not None and standard.images not in (None, self.known.images):
            self._note(
                f"--images {number} was not used for figures on {standard.name}, whose usual test "
                f"part has {standard.images:,} images; say --images {standard.name}=N"
            )
            return None
        if figure.part == "validation" and "test" in self.parts:
            self._note(
                f"--images {number} was used for the test figures only; say --images validation=N"
            )
            return None
        if not figure.part and "train" in self.parts:
            self._note(
                "figures without a named part were not counted, for other figures are of the "
                "training part"
            )
            return None
        return self.known.images

    def runs_of(self, table: PublishedTable, figure: Figure) -> int:
        """How many runs a figure is the mean of; 0 where that is not known."""
        if self.known.runs is not None:
            return self.known.runs
        if table.runs and table.runs > 1:
            return table.runs
        if table.runs == 0 or figure.averaged or figure.printed.spread or figure.printed.aside:
            return 0
        return 1

    def is_balanced(self, figure: Figure) -> bool:
        """Whether the classes are known to have equally many images."""
        standard = _STANDARD.get(figure.dataset)
        usual = standard is not None and standard.balanced and figure.part in ("test", "")
        return self.known.balanced or usual

    def entries(self) -> Iterator[tuple[PublishedTable, Entry]]:
        """All entries with their tables."""
        for table in self.tables:
            for entry in table.entries:
                yield table, entry

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def finding(
    code: str,
    kind: Kind,
    table: PublishedTable,
    row: str,
    arithmetic: str,
    figures: Sequence[Figure] = (),
) -> Finding:
    """A finding in a table about some of its figures."""
    return Finding(
        code=code,
        kind=kind,
        file=table.raw.file,
        table=table.title,
        line=table.raw.line,
        row=row,
        arithmetic=arithmetic,
        cells=tuple((f.row, f.column) for f in figures),
        values=tuple(f.text for f in figures),
    )


def about(entry: Entry, figure: Figure) -> str:
    """The row's name and the part of a figure, where its table shows several."""
    several = len(entry.parts()) > 1 and figure.part
    data = f" ({figure.part})" if several else ""
    return f"{entry.name or '(no name)'}{data}"


def same_print(one: Figure, other: Figure) -> bool:
    """Whether two printed numbers can stand for one, each rounded or cut off."""
    return one.low <= other.high and other.low <= one.high


def paired(entry: Entry, one: str, other: str) -> Iterator[tuple[Figure, Figure, str]]:
    """The figures of two metrics of one part, and the doubt whether they are.

    The doubt is "" where nothing or the same part is said of both, and a question where the part is
    said of one alone: that it holds for the other as well is then no more than likely.
    """
    for part in entry.parts():
        a, b = entry.get(one, part), entry.get(other, part)
        if a is not None and b is not None and a.usable and b.usable:
            yield a, b, ""
    named = {metric: [p for m, p in entry.figures if m == metric] for metric in (one, other)}
    for said, silent in ((one, other), (other, one)):
        if len(named[said]) == 1 and named[silent] == [""] and named[said][0] in _HELD_OUT:
            a, b = entry.get(one, named[one][0]), entry.get(other, named[other][0])
            if a is not None and b is not None and a.usable and b.usable:
                part = named[said][0]
                yield a, b, f"; nothing says the part of {silent}: is it {part} as well?"


def in_units_of(figure: Figure, value: float, *others: Figure) -> str:
    """A share in the units in which a figure is printed, to four digits or those of the figures."""
    digits = max(4, *(_digits(one) for one in (figure, *others)))
    return f"{value * figure.scale:.{min(digits, 8) - (2 if figure.scale == 100 else 0)}f}"


def beside(figure: Figure, other: Figure) -> str:
    """A figure as printed, and in the units of another if these are not its own."""
    if figure.scale == other.scale:
        return figure.text
    digits = max(_digits(figure) - (2 if other.scale == 100 else 0), 0)
    return f"{figure.value * other.scale:.{digits}f} (printed as {figure.text})"


def _digits(figure: Figure) -> int:
    """How many digits behind the point a figure has as a share."""
    return round(-math.log10(figure.unit))
