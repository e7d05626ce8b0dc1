"""One norm at a time, a line and a row a batch size (or optimizer, or rate), as plain data.

These are the tables and curves of the original work's second study: batch normalization by batch
size, then group normalization by batch size, for training and test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from normlab.records.cells import arm_of_run
from normlab.records.run import METRICS
from normlab.report.charts.colours import Stroke, strokes
from normlab.report.export.table import Cell, Table
from normlab.report.sections.curves.data import CurveFigure, figure_of
from normlab.report.sections.tables.data import (
    COLUMN_METRICS,
    PART_TITLES,
    TablePart,
    metric_head,
    table_caption,
)
from normlab.stats.data.curves import setting_curves
from normlab.stats.data.layout import Layout, arrange
from normlab.stats.data.pairing import paired_table
from normlab.stats.data.reading import StudyRecords
from normlab.stats.data.regroup import regroup, varied_factors
from normlab.stats.inference.intervals import summarise


@dataclass(frozen=True, eq=False)
class FactorGroup:
    """All levels of a factor with everything else held still."""

    factor: str
    """In words: "batch size"."""
    label: str
    """What is held still: "bn, sgd, learning rate 0.02"."""
    slug: str
    levels: tuple[str, ...]
    strokes: Mapping[str, Stroke]
    figure: CurveFigure
    tables: tuple[Table, ...]
    """Training, then test."""


def factor_groups(study: StudyRecords) -> tuple[FactorGroup, ...]:
    """Every factor but the compared one, with every combination of the others that has two levels.

    Only levels of which something was recorded are there.
    """
    found = []
    for factor in varied_factors(study.plan):
        if factor == study.plan.analysis.compare:
            continue
        seen = regroup(study, factor)
        for layout in arrange(seen.plan, seen.runs):
            levels = _levels(layout, factor)
            if len(levels) >= 2:
                found.append(_group(layout, factor, levels))
    return tuple(found)


def _levels(layout: Layout, factor: str) -> tuple[str, ...]:
    """The levels with a record, numbers ascending, names in the order of the plan."""
    numbers: dict[str, float] = {}
    for place, level in enumerate(layout.arms):
        specs = [run.spec for (arm, _), runs in layout.records.items() if arm == level
                 for run in runs]  # fmt: skip
        if specs:
            assert arm_of_run(specs[0], factor) == level
            rate, size = specs[0].optimizer.learning_rate, specs[0].batch_size
            values: dict[str, float] = {"learning_rate": rate, "batch_size": size}
            numbers[level] = values.get(factor, place)
    return tuple(sorted(numbers, key=lambda level: numbers[level]))


def _group(layout: Layout, factor: str, levels: tuple[str, ...]) -> FactorGroup:
    name = factor.replace("_", " ")
    label = layout.setting.label
    slug = f"by-{factor}-{layout.setting.slug}"
    colours = strokes(list(levels))
    curves = setting_curves(layout)
    figure = figure_of(f"curves-{slug}", f"Learning curves by {name}: {label}", levels, curves,
                       colours)  # fmt: skip
    tables = tuple(_table(layout, name, slug, levels, part) for part in PART_TITLES)
    return FactorGroup(name, label, slug, levels, colours, figure, tables)


def _table(
    layout: Layout, factor: str, slug: str, levels: tuple[str, ...], part: TablePart
) -> Table:
    values = {metric: paired_table(layout, metric, part) for metric in METRICS}
    rows: list[tuple[Cell, ...]] = []
    for level in levels:
        cells = [summarise(values[metric].row(level)) for metric in COLUMN_METRICS]
        rows.append((level, *cells, max(cell.n for cell in cells)))
    return Table(
        slug=f"{part}-{slug}",
        title=f"{PART_TITLES[part]} by {factor}: {layout.setting.label}",
        caption=table_caption(part, layout.setting.label),
        head=(factor, *metric_head()),
        rows=tuple(rows),
    )
