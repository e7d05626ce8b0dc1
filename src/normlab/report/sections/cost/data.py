"""What an arm costs and what it gives for it: time of a step, time of a run, the Pareto front."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from normlab.report.charts.colours import Stroke
from normlab.report.export.formats import NOTHING
from normlab.stats.data.layout import Layout
from normlab.stats.data.metrics import LABELS, format_value, is_share, orientation
from normlab.stats.summary.analysis import ArmRow, SettingAnalysis


@dataclass(frozen=True)
class CostRow:
    """One arm."""

    arm: str
    step_ms: float | None
    """Milliseconds of a training step, from the median throughput."""
    relative: float | None
    """The difference to the reference."""
    run_seconds: float | None
    """Median training time of a finished run."""
    images_per_second: float | None
    parameters: int | None
    value: float | None
    """Mean of the primary metric over blocks."""
    front: bool = False
    """No arm is at least as quick and at least as good, and better in one of the two."""

    def texts(self, metric: str) -> tuple[str, ...]:
        """The row as it is printed, the arm first."""
        return (
            self.arm,
            _number(self.step_ms, ".1f"),
            NOTHING if self.relative is None else f"{self.relative:.2f}×",
            _number(self.images_per_second, ",.0f"),
            _number(self.run_seconds, ".0f"),
            _number(self.parameters, ","),
            NOTHING if self.value is None else format_value(metric, self.value),
            "yes" if self.front else "",
        )


HEAD = (
    *("norm", "step (ms)", "relative", "images a second", "run (s)", "parameters"),
    *("value", "on the front"),
)


@dataclass(frozen=True, eq=False)
class CostFigure:
    """Value against time of a run."""

    slug: str
    title: str
    axis_title: str
    rows: tuple[CostRow, ...]
    scale: float
    strokes: dict[str, Stroke]
    description: str


def cost_rows(setting: SettingAnalysis, layout: Layout) -> tuple[CostRow, ...]:
    """One row an arm, in the order of the plan."""
    rows = [_row(row, setting, layout) for row in setting.rows]
    return mark_front(rows, orientation(setting.verdict.metric))


def _row(row: ArmRow, setting: SettingAnalysis, layout: Layout) -> CostRow:
    records = [layout.record(row.arm, block) for block in layout.blocks]
    outcomes = [r.outcome for r in records if r is not None and r.outcome and r.outcome.test]
    speed = statistics.median(row.speeds.values()) if row.speeds else None
    batch_size = next((r.spec.batch_size for r in records if r is not None), 0)
    return CostRow(
        arm=row.arm,
        step_ms=1000 * batch_size / speed if speed else None,
        relative=row.relative_time,
        run_seconds=statistics.median(o.seconds for o in outcomes) if outcomes else None,
        images_per_second=speed,
        parameters=next((o.parameters for o in outcomes if o.parameters), None),
        value=row.test[setting.verdict.metric].mean,
    )


def mark_front(rows: Sequence[CostRow], sign: int) -> tuple[CostRow, ...]:
    """The rows, with those on the Pareto front of run time and value marked."""

    def point(row: CostRow) -> tuple[float, float] | None:
        if row.run_seconds is None or row.value is None or math.isnan(row.value):
            return None
        return (-row.run_seconds, sign * row.value)

    points = [p for row in rows if (p := point(row)) is not None]
    marked = []
    for row in rows:
        own = point(row)
        beaten = own is None or any(
            other[0] >= own[0] and other[1] >= own[1] and other != own for other in points
        )
        marked.append(replace(row, front=not beaten))
    return tuple(marked)


def cost_figure(
    setting: SettingAnalysis, rows: Sequence[CostRow], strokes: Mapping[str, Stroke]
) -> CostFigure | None:
    """Value against time; None with fewer than two arms that have both."""
    drawn = tuple(row for row in rows if row.run_seconds is not None and row.value is not None)
    if len(drawn) < 2:
        return None
    metric = setting.verdict.metric
    unit = " (%)" if is_share(metric) else ""
    front = ", ".join(row.arm for row in drawn if row.front)
    return CostFigure(
        slug=f"cost-{setting.setting.slug}",
        title=f"{LABELS[metric].capitalize()} against time: {setting.setting.label}",
        axis_title=f"{LABELS[metric]}{unit}",
        rows=drawn,
        scale=100.0 if is_share(metric) else 1.0,
        strokes={row.arm: strokes[row.arm] for row in drawn},
        description=(
            f"Mean {LABELS[metric]}{unit} against the median training time of a run in seconds. "
            f"On the Pareto front: {front}."
        ),
    )


def _number(value: float | None, form: str) -> str:
    return NOTHING if value is None else format(value, form)
