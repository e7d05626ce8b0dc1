"""Inside the layers: features over the epochs, gates, gaps, gradients; figures as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from normlab.report.charts.colours import Stroke
from normlab.report.export.formats import NOTHING
from normlab.report.export.table import Cell, Printed, Table
from normlab.stats.data.setting import Setting
from normlab.stats.summary.layer_diagnostics import FEATURE_COLUMNS, LayerSummaries
from normlab.text import count

APART = 6.0
"""Where the largest features of two arms are further apart, each arm has an axis of its own."""

MEASURES = {
    "gradient": "gradient of the weights (rms)",
    "weight": "weights (rms)",
    "dead": "dead channels (%)",
    "mean_gap": "running mean off by (sd)",
    "scale_gap": "running sd off by (ln)",
    "gate": "gate ρ",
}
"""What stands on an axis and over a column."""


@dataclass(frozen=True, eq=False)
class FeatureFigure:
    """Percentiles of the penultimate features over the epochs, a panel an arm."""

    frame: pd.DataFrame
    """arm, epoch, FEATURE_COLUMNS."""
    strokes: Mapping[str, Stroke]
    shared: bool
    """Whether all panels have one vertical axis."""
    description: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class CourseFigure:
    """One measure of every layer over the epochs, a panel an arm."""

    measure: str
    frame: pd.DataFrame
    """arm, depth, epoch, value."""
    arms: tuple[str, ...]
    layers: tuple[str, ...]
    description: str


@dataclass(frozen=True, eq=False)
class DepthFigure:
    """Measures of the layers at the last epoch, from the first layer to the last."""

    frame: pd.DataFrame
    """arm, depth, and the measures as columns."""
    measures: tuple[str, ...]
    strokes: Mapping[str, Stroke]
    description: str


@dataclass(frozen=True, eq=False)
class LayerDiagnosticsFigures:
    """All figures of one setting."""

    setting: Setting
    blocks: int
    features: FeatureFigure
    courses: tuple[CourseFigure, ...]
    depth: DepthFigure
    table: Table
    left_out: tuple[str, ...]


def layer_diagnostics_figures(
    setting: Setting, summaries: LayerSummaries, strokes: Mapping[str, Stroke]
) -> LayerDiagnosticsFigures:
    """The figures of a setting from its tidy tables."""
    own = {arm: strokes[arm] for arm in summaries.arms}
    blocks = count(summaries.blocks, "block")
    courses = []
    for measure in ("gate", "mean_gap"):
        arms = summaries.having(measure)
        if arms:
            frame = summaries.layers[summaries.layers["arm"].isin(arms)]
            frame = frame[["arm", "depth", "epoch", measure]].rename(columns={measure: "value"})
            names = summaries.layers.sort_values("depth")["layer"].drop_duplicates()
            courses.append(
                CourseFigure(
                    measure,
                    frame.dropna().reset_index(drop=True),
                    arms,
                    tuple(names),
                    f"{MEASURES[measure]} of every layer over the epochs for {', '.join(arms)}; "
                    f"medians over {blocks}. The last epoch is in the table of the layers.",
                )
            )
    last = summaries.last()
    measures = tuple(m for m in ("gradient", "dead", "mean_gap") if summaries.having(m))
    frame = last[["arm", "depth", *measures]].copy()
    if "dead" in measures:
        frame["dead"] *= 100
    return LayerDiagnosticsFigures(
        setting=setting,
        blocks=summaries.blocks,
        features=feature_figure(summaries, own, blocks),
        courses=tuple(courses),
        depth=DepthFigure(
            frame.reset_index(drop=True),
            measures,
            own,
            f"{', '.join(MEASURES[m] for m in measures)} by depth at the last epoch for "
            f"{', '.join(summaries.arms)}; the numbers are in the table behind the figure.",
        ),
        table=layers_table(setting, summaries),
        left_out=summaries.left_out,
    )


def feature_figure(
    summaries: LayerSummaries, strokes: Mapping[str, Stroke], blocks: str
) -> FeatureFigure:
    """The percentiles over the epochs, and as a table at the first and the last epoch."""
    frame = summaries.features
    tops = frame.groupby("arm")[FEATURE_COLUMNS[-1]].max()
    rows = []
    for arm in summaries.arms:
        own = frame[frame["arm"] == arm]
        for index in dict.fromkeys((0, len(own) - 1)):
            values = own.iloc[index]
            rows.append(
                (
                    arm,
                    str(int(values["epoch"])),
                    *(number(float(values[column])) for column in FEATURE_COLUMNS),
                )
            )
    return FeatureFigure(
        frame=frame,
        strokes=strokes,
        shared=bool(tops.max() <= APART * max(float(tops.min()), 1e-12)),
        description=(
            "1st, 20th, 80th and 99th percentile of the penultimate features over the validation "
            f"part after every epoch, for {', '.join(summaries.arms)}; medians over {blocks}."
        ),
        head=("norm", "epoch", "1st", "20th", "80th", "99th percentile"),
        rows=tuple(rows),
    )


def layers_table(setting: Setting, summaries: LayerSummaries) -> Table:
    """Every layer of every arm at its last epoch."""
    rows: list[tuple[Cell, ...]] = [
        (
            *(str(row.arm), str(row.layer)),
            *(printed(float(getattr(row, measure))) for measure in MEASURES),
        )
        for row in summaries.last().sort_values("depth").itertuples()
    ]
    rows.sort(key=lambda row: summaries.arms.index(str(row[0])))
    return Table(
        slug=f"layers-{setting.slug}",
        title="Inside the layers, at the last epoch",
        caption=(
            f"{setting}. Medians over {count(summaries.blocks, 'block')}. Gradient: of the last "
            "batch. Dead: share of the channels whose ReLU is 0 for every pixel of the "
            "validation part. Running mean off by: mean over channels of |μ − running μ|/running "
            "sd, μ of the validation part; running sd: of |ln(sd/running sd)|."
        ),
        head=("norm", "layer", *(name.replace("(%)", "(share)") for name in MEASURES.values())),
        rows=tuple(rows),
    )


def printed(value: float) -> Printed:
    """A number with three digits, or a dash for one that is not known."""
    return Printed(None if math.isnan(value) else value, number(value))


def number(value: float) -> str:
    """Three digits; a dash for what is not there.

    >>> number(0.012345), number(float("nan"))
    ('0.0123', '–')
    """
    return NOTHING if math.isnan(value) else f"{value:.3g}"
