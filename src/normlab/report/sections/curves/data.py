"""The learning curves of a setting as plain data: a panel for each metric and part."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
FOLLOWED_BLOCKS = 30
"""Blocks up to which the page can bring out the line of one; lines that nobody sees of 100 blocks
of 10 arms weigh half a MB a setting."""
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
    """arm, block, epoch, value; no row where there are over FOLLOWED_BLOCKS."""
    medians: pd.DataFrame
    """arm, epoch, value."""
    band: pd.DataFrame
    """The middle of the blocks: arm, epoch, and their 10th and 90th percentile, low and high."""
    range: tuple[float, float]
    """Limits of the values; train and validation share them, so that the two can be compared."""
    last_epoch: int
    number_of_blocks: int
    goes_beyond: bool
    """Whether a value lies above the range."""
    twin: int | None
    """The earlier panel that has the very same values, if there is one."""

    @property
    def heading(self) -> str:
        """The name of the vertical axis with its unit, and the part."""
        unit = " (nats)" if self.metric == "loss" else " (%)"
        return f"{self.axis_title}{unit}, {self.part}"

    @property
    def many(self) -> bool:
        """Whether a line a block would be a tangle; a band stands in their place."""
        return self.number_of_blocks > MANY_BLOCKS


@dataclass(frozen=True, eq=False)
class CurveFigure:
    """The four curves of a setting, for train and validation."""

    slug: str
    title: str
    arms: tuple[str, ...]
    strokes: dict[str, Stroke]
    panels: tuple[CurvePanel, ...]
    """Panels in the order of the metrics, train before validation."""

    @property
    def frame(self) -> CurveFigure:
        """The same without its panels: what the drawing of one panel needs of it."""
        return replace(self, panels=())

    @property
    def same(self) -> tuple[str, ...]:
        """Which metrics are no panels of their own, a sentence each."""
        found = {}
        for panel in self.panels:
            if panel.twin is not None:
                found[panel.axis_title] = self.panels[panel.twin].axis_title
        return tuple(
            f"{metric[0].upper()}{metric[1:]} is {other} here, to the last digit (every image has "
            "one class), so it is not drawn again; the tables have both."
            for metric, other in found.items()
        )

    @property
    def is_empty(self) -> bool:
        """Whether there is not one epoch to draw."""
        return all(panel.number_of_blocks == 0 for panel in self.panels)


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
    panels: list[CurvePanel] = []
    whole: list[pd.DataFrame] = []
    """The lines of each panel; micro F1 is accuracy where every image has one label."""
    for metric in FIGURE_METRICS:
        both = own[own["metric"] == metric]
        limits = value_range(both["value"])
        for part in ("train", "validation"):
            blocks = both[both["part"] == part][["arm", "block", "epoch", "value"]]
            blocks = blocks.reset_index(drop=True)
            twin = next(
                (
                    earlier
                    for earlier, panel in enumerate(panels)
                    if panel.range == limits and whole[earlier].equals(blocks)
                ),
                None,
            )
            last_epoch = int(own["epoch"].max()) if len(own) else 1
            panels.append(_panel(metric, part, blocks, limits, last_epoch, twin))
            whole.append(blocks)
    return CurveFigure(
        slug=slug,
        title=title,
        arms=arms,
        strokes={arm: strokes[arm] for arm in arms},
        panels=tuple(panels),
    )


def _panel(
    metric: str,
    part: str,
    blocks: pd.DataFrame,
    limits: tuple[float, float],
    last_epoch: int,
    twin: int | None,
) -> CurvePanel:
    number = int(blocks["block"].nunique())
    middle = medians(blocks)
    none = blocks.iloc[:0].copy()  # a view would keep all of them in memory
    return CurvePanel(
        metric=metric,
        part=part,
        axis_title=LABELS[metric],
        blocks=blocks if number <= FOLLOWED_BLOCKS else none,
        medians=middle,
        band=band(blocks, middle) if number > MANY_BLOCKS else none,
        range=limits,
        last_epoch=last_epoch,
        number_of_blocks=number,
        goes_beyond=bool((blocks["value"] > limits[1]).any()),
        twin=twin,
    )


def band(blocks: pd.DataFrame, medians: pd.DataFrame) -> pd.DataFrame:
    """The 10th and 90th percentile over blocks, where there is a median: arm, epoch, low, high."""
    found = blocks.groupby(["arm", "epoch"], sort=True)["value"]
    low, high = (found.quantile(share) for share in BAND)
    ends = pd.DataFrame({"low": low, "high": high}).reset_index()
    return ends.merge(medians[["arm", "epoch"]], on=["arm", "epoch"])


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
