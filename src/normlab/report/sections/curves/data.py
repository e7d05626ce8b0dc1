"""The learning curves of a setting as plain data: a panel for each metric and part."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from normlab.report.charts.colours import Stroke
from normlab.report.export.formats import NOTHING
from normlab.stats.data.metrics import LABELS
from normlab.stats.summary.analysis import SettingAnalysis

CURVE_ROWS = 10
"""Epochs in the table behind the curves."""
FIGURE_METRICS = ("loss", "accuracy", "micro_f1", "macro_f1")
MANY_BLOCKS = 5
"""Blocks up to which each has a line of its own."""
BAND = (0.1, 0.9)
"""The share of the blocks below the ends of the band."""
MEDIAN_NEEDS = 0.5
"""The median is drawn where at least this share of an arm's blocks has the epoch."""


@dataclass(frozen=True, eq=False)
class CurvePanel:
    """One metric of one part: a thin line a block, a bold median an arm."""

    metric: str
    part: str
    axis_title: str
    blocks: pd.DataFrame
    """arm, block, epoch, value."""
    medians: pd.DataFrame
    """arm, epoch, value."""
    range: tuple[float, float]
    """Limits of the values; train and validation share them, so that the two can be compared."""
    last_epoch: int

    @property
    def heading(self) -> str:
        """The name of the vertical axis with its unit, and the part."""
        unit = " (nats)" if self.metric == "loss" else " (%)"
        return f"{self.axis_title}{unit}, {self.part}"

    @property
    def many(self) -> bool:
        """Whether a line a block would be a tangle; a band stands in their place."""
        return int(self.blocks["block"].nunique()) > MANY_BLOCKS

    @property
    def band(self) -> pd.DataFrame:
        """The middle of the blocks: arm, epoch, and their 10th and 90th percentile."""
        found = self.blocks.groupby(["arm", "epoch"], sort=True)["value"]
        low, high = (found.quantile(share) for share in BAND)
        ends = pd.DataFrame({"low": low, "high": high}).reset_index()
        return ends.merge(self.medians[["arm", "epoch"]], on=["arm", "epoch"])


@dataclass(frozen=True, eq=False)
class CurveFigure:
    """The four curves of a setting, for train and validation."""

    slug: str
    title: str
    arms: tuple[str, ...]
    strokes: dict[str, Stroke]
    panels: tuple[CurvePanel, ...]
    """Panels in the order of the metrics, train before validation."""

    def twin(self, number: int) -> int | None:
        """The earlier panel that has the very same values, if there is one.

        Micro F1 is accuracy where every image has one label.
        """
        own = self.panels[number].blocks
        for earlier, panel in enumerate(self.panels[:number]):
            if panel.range == self.panels[number].range and panel.blocks.equals(own):
                return earlier
        return None

    @property
    def same(self) -> tuple[str, ...]:
        """Which metrics are no panels of their own, a sentence each."""
        found = {}
        for number, panel in enumerate(self.panels):
            twin = self.twin(number)
            if twin is not None:
                found[panel.axis_title] = self.panels[twin].axis_title
        return tuple(
            f"{metric[0].upper()}{metric[1:]} is {other} here, to the last digit (every image has "
            "one class), so it is not drawn again; the tables have both."
            for metric, other in found.items()
        )

    @property
    def is_empty(self) -> bool:
        """Whether there is not one epoch to draw."""
        return all(panel.blocks.empty for panel in self.panels)


def curve_figure(
    setting: SettingAnalysis, curves: pd.DataFrame, strokes: dict[str, Stroke]
) -> CurveFigure:
    """The curves of one setting out of the tidy table of all; see normlab.stats.data.curves."""
    own = curves[curves["setting"] == setting.setting.label]
    return figure_of(
        f"curves-{setting.setting.slug}",
        f"Learning curves: {setting.setting.label}",
        tuple(row.arm for row in setting.rows),
        own,
        strokes,
    )


def figure_of(
    slug: str,
    title: str,
    arms: tuple[str, ...],
    curves: pd.DataFrame,
    strokes: dict[str, Stroke],
) -> CurveFigure:
    """The eight panels of these arms; `curves` are those of one setting."""
    own = curves[curves["value"].notna()]
    own = own.astype({"arm": str})  # a column of categories multiplies and groups in its own way
    panels = []
    for metric in FIGURE_METRICS:
        both = own[own["metric"] == metric]
        limits = value_range(both["value"])
        for part in ("train", "validation"):
            blocks = both[both["part"] == part][["arm", "block", "epoch", "value"]]
            panels.append(
                CurvePanel(
                    metric=metric,
                    part=part,
                    axis_title=LABELS[metric],
                    blocks=blocks.reset_index(drop=True),
                    medians=medians(blocks),
                    range=limits,
                    last_epoch=int(own["epoch"].max()) if len(own) else 1,
                )
            )
    return CurveFigure(
        slug=slug,
        title=title,
        arms=arms,
        strokes={arm: strokes[arm] for arm in arms},
        panels=tuple(panels),
    )


def value_range(values: pd.Series[float]) -> tuple[float, float]:
    """From the smallest to the largest value, or to twice the 98th percentile if that is less.

    One diverging run may reach a loss of 10^6; on its scale all others would be one flat line.
    """
    if values.empty:
        return (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    return (low, min(high, 2 * float(values.quantile(0.98))) if low >= 0 else high)


def medians(blocks: pd.DataFrame) -> pd.DataFrame:
    """The median over blocks of each arm and epoch.

    Epochs that fewer than half of the arm's blocks have reached are left out: there the median
    would jump because blocks end, not because the arm changes.
    """
    if blocks.empty:  # of no type that could be compared
        return pd.DataFrame({"arm": [], "epoch": [], "value": []})
    grouped = blocks.groupby(["arm", "epoch"], sort=True)["value"].agg(["median", "count"])
    grouped = grouped.reset_index()
    started = (
        grouped["arm"].map(blocks.groupby("arm")["block"].nunique()).astype(float)
    )  # of none too
    kept = grouped[grouped["count"] >= MEDIAN_NEEDS * started]
    return kept.rename(columns={"median": "value"})[["arm", "epoch", "value"]].reset_index(
        drop=True
    )


def curve_table(figure: CurveFigure) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Medians over blocks of all panels at evenly spaced epochs, an arm after the other."""
    medians = [
        {
            (arm, epoch): float(value)
            for arm, epoch, value in panel.medians[["arm", "epoch", "value"]].itertuples(
                index=False
            )
        }
        for panel in figure.panels
    ]
    last = figure.panels[0].last_epoch
    step = max(1, round(last / CURVE_ROWS))
    epochs = sorted({1, last, *range(step, last + 1, step)})
    rows = []
    for arm in figure.arms:
        for epoch in epochs:
            values = [found.get((arm, epoch)) for found in medians]
            if any(value is not None for value in values):
                texts = (NOTHING if v is None else f"{v:.3f}" for v in values)
                rows.append((arm, str(epoch), *texts))
    names = (f"{panel.axis_title}, {panel.part}" for panel in figure.panels)
    return ("norm", "epoch", *names), rows
