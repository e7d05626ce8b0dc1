"""The evidence behind the analysis in words, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from normlab.report.export.formats import NOTHING
from normlab.report.export.table import Cell, Printed, Table
from normlab.stats.data.metrics import MINUS
from normlab.stats.inference.intervals import Interval
from normlab.stats.summary.words.analysis_words import AnalysisWords
from normlab.stats.summary.words.evidence import Evidence, Measure, Statement


def evidence_tables(words: AnalysisWords) -> tuple[Table, ...]:
    """One across settings, one a setting; a table without a row is left out."""
    tables = [_table("across", "across settings", words.across)]
    tables += [_table(one.slug, one.setting, (*one.seen, *one.why)) for one in words.settings]
    return tuple(table for table in tables if table.rows)


def _table(slug: str, setting: str, statements: Sequence[Statement]) -> Table:
    found = [row for one in statements for row in one.evidence]
    return Table(
        slug=f"evidence-{slug}",
        title="Evidence behind the words",
        caption=(
            f"{setting[0].upper()}{setting[1:]}. Means over n blocks that both have; the interval "
            "of the difference holds for all comparisons of its sentence together. Shares in "
            "percent, their differences in points; the unit is that of the difference."
        ),
        head=(
            "what",
            "arm",
            "against",
            "value",
            "other",
            "difference",
            "interval",
            "n",
            "shown",
            "unit",
        ),
        rows=tuple(_rows(found)),
    )


def _rows(found: Sequence[Evidence]) -> Iterable[tuple[Cell, ...]]:
    for (place, name), group in groupby(found, key=lambda row: (row.setting, row.measure.name)):
        what = f"{name} ({place})" if ", by " in place else name
        for row in group:
            one = row.contrast
            ends = one.interval
            yield (
                what,
                one.arm,
                one.other,
                _printed(row.measure, one.value),
                _printed(row.measure, one.other_value),
                _printed(row.measure, one.difference, "+"),
                NOTHING if ends is None else _ends(row.measure, ends),
                one.n,
                "yes" if one.shown else "no",
                row.measure.unit or NOTHING,
            )


def _printed(measure: Measure, value: float, sign: str = "") -> Printed:
    scaled = measure.scale * value
    return Printed(scaled, f"{scaled:{sign}.{measure.digits}f}".replace("-", MINUS))


def _ends(measure: Measure, found: Interval) -> Printed:
    low, high = (_printed(measure, end, "+") for end in (found.low, found.high))
    ends = (measure.scale * found.low, measure.scale * found.high)
    return Printed(None, f"[{low.text}, {high.text}]", interval=ends)
