"""Where it breaks: the figure and the tables of accuracy under changes, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from normlab.records.robustness import AS_IT_IS, COMPOSITION, COMPOSITIONS
from normlab.report.charts.colours import Stroke
from normlab.report.export.formats import NOTHING, points, summary_cell
from normlab.report.export.table import Cell, Printed, Table
from normlab.stats.data.metrics import format_value
from normlab.stats.inference.intervals import PairedDifference, Summary
from normlab.stats.summary.robustness import LEVELS, RobustnessTable
from normlab.text import count, join

RUNNING = "running"
"""The batch composition's name of evaluation as it is meant to be."""


@dataclass(frozen=True, eq=False)
class RobustnessFigure:
    """Accuracy by strength, a panel a change."""

    frame: pd.DataFrame
    """arm, change, level (text), mean, low, high (percent; nan without an interval)."""
    panels: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]
    strokes: Mapping[str, Stroke]
    description: str


@dataclass(frozen=True, eq=False)
class RobustnessView:
    """The tables and the figure of one setting."""

    table: RobustnessTable
    figure: RobustnessFigure
    losses: Table
    batches: Table | None
    sentence: str


def robustness_view(table: RobustnessTable, strokes: Mapping[str, Stroke]) -> RobustnessView:
    """The figure and the tables of one setting."""
    return RobustnessView(
        table=table,
        figure=robustness_figure(table, strokes),
        losses=loss_table(table),
        batches=batch_table(table) if COMPOSITION in table.changes else None,
        sentence=sentence(table),
    )


def robustness_figure(table: RobustnessTable, strokes: Mapping[str, Stroke]) -> RobustnessFigure:
    """Every panel begins with the accuracy as it is."""
    levels = {
        name: (RUNNING, *COMPOSITIONS) if name == COMPOSITION else ("0", *LEVELS)
        for name in table.changes
    }
    rows = []
    for arm in table.arms:
        for name in table.changes:
            for level in levels[name]:
                first = level in ("0", RUNNING)
                place = (AS_IT_IS, "0") if first else (name, level)
                point = table.point(arm, *place)
                if point is None or (name == COMPOSITION and not table.point(arm, name, "32")):
                    continue
                value = point.accuracy
                bounds = (
                    (None, None)
                    if value.interval is None
                    else (100 * value.interval.low, 100 * value.interval.high)
                )
                rows.append((arm, name, level, 100 * (value.mean or 0.0), *bounds))
    frame = pd.DataFrame(rows, columns=["arm", "change", "level", "mean", "low", "high"])
    frame = frame.astype({"low": float, "high": float})
    return RobustnessFigure(
        frame=frame,
        panels=table.changes,
        levels=levels,
        strokes={arm: strokes[arm] for arm in table.arms},
        description=(
            f"Accuracy in percent against the strength of {join(table.changes)}, for "
            f"{join(table.arms)}; means over {count(table.blocks, 'block')} with 95 % intervals. "
            "The numbers are in the tables beside it."
        ),
    )


def loss_table(table: RobustnessTable) -> Table:
    """What every arm loses under each change, with its difference to the reference."""
    changes = [name for name in table.changes if name != COMPOSITION]
    rows: list[tuple[Cell, ...]] = []
    for name in changes:
        for arm in table.arms:
            loss = table.loss(arm, name)
            clean = table.point(arm, AS_IT_IS, "0")
            if loss is None or clean is None:
                continue
            found = [table.point(arm, name, level) for level in LEVELS]
            at = [p.accuracy.mean for p in found if p is not None]
            rows.append(
                (
                    name,
                    arm,
                    value(clean.accuracy.mean),
                    *(value(mean) for mean in (at[0], at[2], at[4])),
                    points(loss.loss),
                    NOTHING if loss.difference is None else points(loss.difference),
                    loss.decision or ("reference" if arm == table.reference else NOTHING),
                )
            )
    return Table(
        slug=f"stress-{table.setting.slug}",
        title="Where it breaks: accuracy as the images change",
        caption=(
            f"{table.setting}. {count(table.images, 'test image')}, "
            f"{count(table.blocks, 'block')}; accuracy in percent. Loss: accuracy as it is minus "
            "the mean over the five strengths, points, with t intervals over the blocks. Decisions "
            "against the reference, corrected by Holm over all arms and changes."
        ),
        head=("change", "norm", "as it is (%)", "weakest (%)", "middle (%)", "strongest (%)",
              "loss (points)", f"loss − that of {table.reference} (points)", "decision"),
        rows=tuple(rows),
    )  # fmt: skip


def batch_table(table: RobustnessTable) -> Table:
    """Accuracy where each batch normalizes by its own statistics."""
    rows: list[tuple[Cell, ...]] = []
    for arm in table.arms:
        clean = table.point(arm, AS_IT_IS, "0")
        tried = [table.point(arm, COMPOSITION, level) for level in COMPOSITIONS]
        if clean is None:
            continue
        if None in tried:
            same = replace(interval(clean.accuracy), text="the same")
            rows.append((arm, interval(clean.accuracy), *(same,) * len(COMPOSITIONS)))
        else:
            own = [interval(point.accuracy) for point in tried if point is not None]
            rows.append((arm, interval(clean.accuracy), *own))
    return Table(
        slug=f"stress-batches-{table.setting.slug}",
        title="Where it breaks: other batches in evaluation",
        caption=(
            f"{table.setting}. Accuracy in percent with t intervals over "
            f"{count(table.blocks, 'block')}: by the running statistics, and those of each batch "
            "of 32, 8 or 2 images, or of 32 of one class. The same: no statistics of the batch."
        ),
        head=(
            "norm",
            "running statistics (%)",
            *(f"{_batch_name(name)} (%)" for name in COMPOSITIONS),
        ),
        rows=tuple(rows),
    )


def sentence(table: RobustnessTable) -> str:
    """Which arm a change hurts less or more than the reference."""
    if table.reference is None:
        return "The reference was not tried, so nothing is compared."
    parts = []
    for arm in table.arms:
        for decision in ("loses less", "loses more"):
            names = [x.change for x in table.losses if (x.arm, x.decision) == (arm, decision)]
            if names:
                parts.append(f"{arm} {decision} than {table.reference} under {join(names)}")
    if not parts:
        return f"No arm is shown to lose more or less than {table.reference} under any change."
    return "; ".join(parts) + "."


def value(mean: float | None) -> Printed:
    """An accuracy as it is printed."""
    return summary_cell("accuracy", Summary(1, mean, None))


def interval(found: PairedDifference) -> Printed:
    """An accuracy with its interval, as it is printed."""
    mean = value(found.mean)
    if found.mean is None or found.interval is None:
        return mean
    ends = (found.interval.low, found.interval.high)
    low, high = (format_value("accuracy", end) for end in ends)
    percent = (100 * ends[0], 100 * ends[1])
    return replace(mean, text=f"{mean.text} [{low}, {high}]", interval=percent)


def _batch_name(level: str) -> str:
    return "32 of one class" if level == "one class" else f"batches of {level}"
