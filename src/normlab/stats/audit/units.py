"""Whether a printed number is a share or per cent, said cell by cell.

A sign says it for its own cell and for no other. A number without one is told by its size and by
the numbers without a sign around it; where these leave both open, its scale is not known and no
rule takes its digits at their word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from normlab.stats.audit.heads import ERROR, LOSS, TOP5_ERROR
from normlab.stats.audit.model import Entry, Figure

_ERRORS = (ERROR, TOP5_ERROR)
_DOUBTFUL = 2.0
"""A number between 1 and this may be a share that cannot be; a larger one is per cent."""


@dataclass(frozen=True)
class _Sizes:
    """The numbers without a sign among some figures, by size, and the signed ones."""

    small: int
    """Up to 1."""
    doubtful: int
    large: int
    signed: int
    least_signed: float
    """The smallest number with a per cent sign; infinite if there is none."""

    @property
    def above_one(self) -> int:
        return self.doubtful + self.large


def in_fractions(entries: Sequence[Entry], *, metric_rows: bool) -> Iterator[Entry]:
    """The entries with every share as a fraction of 1."""
    figures = [f for entry in entries for f in entry.figures.values() if f.metric != LOSS]
    scores = _sizes(f for f in figures if f.metric not in _ERRORS)
    by_line: dict[tuple[str, int], list[Figure]] = {}
    for figure in figures:
        by_line.setdefault(_line_of(figure, metric_rows), []).append(figure)
    lines = {key: _sizes(own) for key, own in by_line.items()}
    by_metric = {
        m: _sizes(f for f in figures if f.metric == m) for m in {f.metric for f in figures}
    }
    percent_table = any(sizes.large and not sizes.small for sizes in by_metric.values())
    for entry in entries:
        read = {}
        maybe_difference = any(f.value < 0 for f in entry.figures.values() if f.metric != LOSS)
        for key, figure in entry.figures.items():
            if figure.metric == LOSS:
                read[key] = figure
                continue
            line = lines[_line_of(figure, metric_rows)]
            if figure.metric in _ERRORS:
                percent, known = _read_error(figure, line, scores)
            else:
                percent, known = _read_score(
                    figure, line, by_metric[figure.metric], scores, percent_table=percent_table
                )
            read[key] = _scaled(figure, percent=percent, known=known and not maybe_difference)
        yield replace(entry, figures=read)


def _line_of(figure: Figure, metric_rows: bool) -> tuple[str, int]:
    return figure.metric, figure.row if metric_rows else figure.column


def _sizes(figures: Iterable[Figure]) -> _Sizes:
    own = list(figures)
    bare = [f.value for f in own if not f.is_signed]
    return _Sizes(
        small=sum(value <= 1 for value in bare),
        doubtful=sum(1 < value < _DOUBTFUL for value in bare),
        large=sum(value >= _DOUBTFUL for value in bare),
        signed=len(own) - len(bare),
        least_signed=min((f.value for f in own if f.is_signed), default=float("inf")),
    )


def _read_score(
    figure: Figure, line: _Sizes, metric: _Sizes, scores: _Sizes, *, percent_table: bool
) -> tuple[bool, bool]:
    """Whether an accuracy or F1 is per cent, and whether that is known.

    "Accuracy (%)" over .9460 is a share: nobody prints a column of networks that are right in 1 %.
    One network of a column may well be right in .1 %, so that a small number among large ones is
    either, and so is a small one beside another metric that is in per cent throughout.
    """
    value = figure.value
    if figure.is_signed or value >= _DOUBTFUL:
        return True, True
    chance = percent_table or line.least_signed < _DOUBTFUL
    chance = chance or bool(line.doubtful and figure.printed.percent)
    if value <= 1:
        if metric.large:
            return True, False
        alike = line.small > line.signed or 100 * value >= line.least_signed / 2
        return False, alike and not chance and (not line.doubtful or line.small > line.doubtful)
    if line.large:
        return True, True
    if metric.large or chance or not line.small:
        return True, not scores.small
    return False, line.small > line.doubtful


def _read_error(figure: Figure, line: _Sizes, scores: _Sizes) -> tuple[bool, bool]:
    """The same of an error; up to 1 it may be a share, or per cent of a very good network."""
    if figure.is_signed or figure.value > 1:
        return True, True
    only_small = scores.small > 0 and not scores.above_one
    only_large = scores.above_one > 0 and not scores.small
    if figure.printed.percent:
        return True, not only_small
    if only_small and not line.above_one:
        return False, True
    percent = bool(line.above_one or scores.above_one)
    return percent, bool(line.above_one) and only_large


def _scaled(figure: Figure, *, percent: bool, known: bool) -> Figure:
    if not percent:
        return replace(figure, known_scale=known)
    return replace(figure, value=figure.value / 100, unit=figure.unit / 100, known_scale=known)
