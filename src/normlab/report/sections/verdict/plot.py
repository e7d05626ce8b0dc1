"""The difference plot of the first screen: places in percent of its width, so that it fits any.

It is laid out by the page itself and not drawn as one picture, whose letters would be too small to
read on a telephone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from normlab.report.charts.colours import Stroke
from normlab.report.sections.answer.differences import DifferenceFigure, DifferenceRow
from normlab.report.sections.base import BLOCKS_SHOWN
from normlab.report.sections.curves.axes import linear_ticks
from normlab.stats.data.metrics import format_difference, format_value, is_share
from normlab.stats.summary.analysis import SettingAnalysis

SHOWN = 9
"""Arms of the first screen; the others are below, one click away."""
ROOM_FOR_CHANCE = 2.0
"""The axis may become so many times as long for chance level to be on it."""


@dataclass(frozen=True)
class PlotRow:
    """One arm, every place in percent of the axis."""

    arm: str
    number: int
    """Of the arm, as marks of the page are numbered."""
    colour: str
    is_reference: bool
    mean: float
    mean_text: str
    low: float | None
    """The near ends of the interval, cut at the ends of the axis; None without an interval."""
    high: float | None
    cut_low: bool
    """Whether the interval goes on beyond the left end of the axis."""
    cut_high: bool
    blocks: tuple[tuple[int, float], ...]
    """Block and place of every difference that is on the axis; none of over BLOCKS_SHOWN."""


@dataclass(frozen=True)
class DifferencePlot:
    """Differences to one arm."""

    reference: str
    rows: tuple[PlotRow, ...]
    """The highest mean first."""
    folded: tuple[PlotRow, ...]
    band: tuple[float, float]
    """Ends of the band of practical equality."""
    zero: float
    ticks: tuple[tuple[float, str], ...]
    chance: float | None
    """The place of chance level; None where it is off the axis or there is none."""
    chance_text: str
    """Where chance level lies, if it is off the axis; empty else."""
    axis_title: str
    description: str
    margin_text: str
    confidence: str
    blocks: int

    @property
    def has_ticks(self) -> bool:
        """Whether blocks are marked one by one."""
        return self.blocks <= BLOCKS_SHOWN


def difference_plot(
    figure: DifferenceFigure,
    setting: SettingAnalysis,
    reference: str,
    numbers: Mapping[str, int],
    strokes: Mapping[str, Stroke],
) -> DifferencePlot:
    """The plot of one reference; all means lie on its axis.

    Args:
        figure: the differences to that reference.
        setting: where they are from.
        reference: an arm with results.
        numbers: of all arms, as marks of the page are numbered.
        strokes: of all arms.
    """
    chance = chance_difference(setting, reference)
    low, high = with_chance(figure.limits, chance)

    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2)

    def row(one: DifferenceRow) -> PlotRow:
        cut_low = one.low is not None and one.low < low
        cut_high = one.high is not None and one.high > high
        return PlotRow(
            arm=one.arm,
            number=numbers[one.arm],
            colour=strokes[one.arm].colour,
            is_reference=False,
            mean=place(one.mean),
            mean_text=one.mean_text,
            low=None if one.low is None else place(max(one.low, low)),
            high=None if one.high is None else place(min(one.high, high)),
            cut_low=cut_low,
            cut_high=cut_high,
            blocks=tuple((block, place(value)) for block, value in shown_blocks(one, (low, high))),
        )

    own = PlotRow(
        reference, numbers[reference], strokes[reference].colour, True, place(0.0),
        _value_text(setting, reference),
        None, None, False, False, (),
    )  # fmt: skip
    rows = sorted([own, *map(row, figure.rows)], key=lambda one: -one.mean)
    kept = _kept(rows)
    on_axis = chance is not None and low <= chance <= high
    verdict = setting.verdict
    margin = format_difference(verdict.metric, verdict.margin).removeprefix("+")
    return DifferencePlot(
        reference=reference,
        rows=tuple(kept),
        folded=tuple(one for one in rows if one not in kept),
        band=(place(max(-figure.margin, low)), place(min(figure.margin, high))),
        zero=place(0.0),
        ticks=tuple((round(100 * at, 2), _signed(text)) for at, text in linear_ticks(low, high, 5)),
        chance=place(chance) if on_axis and chance is not None else None,
        chance_text=""
        if on_axis or chance is None
        else f"chance level lies beyond the axis, at {_printed(verdict.metric, chance)}",
        axis_title=figure.axis_title,
        description=figure.description,
        margin_text=f"±{margin}",
        confidence=f"{100 * (1 - verdict.alpha):g} %",
        blocks=max(len(one.blocks) for one in figure.rows),
    )


def shown_blocks(row: DifferenceRow, limits: tuple[float, float]) -> list[tuple[int, float]]:
    """Block and difference of all that are on the axis; none where they are over BLOCKS_SHOWN."""
    if len(row.blocks) > BLOCKS_SHOWN:
        return []
    return [(block, at) for block, at in row.blocks.items() if limits[0] <= at <= limits[1]]


def _value_text(setting: SettingAnalysis, arm: str) -> str:
    """The mean of an arm itself, so that the differences beside it have something to stand on."""
    metric = setting.verdict.metric
    row = next((row for row in setting.rows if row.arm == arm), None)
    mean = None if row is None else row.test[metric].mean
    if mean is None:
        return "reference"
    return f"{format_value(metric, mean)}{' %' if is_share(metric) else ''}"


def with_chance(limits: tuple[float, float], chance: float | None) -> tuple[float, float]:
    """Limits that have chance level between them, if the axis does not become too long for it.

    >>> with_chance((-10.0, 10.0), -28.0), with_chance((-10.0, 10.0), -70.0)
    ((-30.28, 10.0), (-10.0, 10.0))
    """
    low, high = limits
    if chance is None:
        return limits
    length = max(high, chance) - min(low, chance)
    if length > ROOM_FOR_CHANCE * (high - low):
        return limits
    padding = 0.06 * length
    return (
        low if chance >= low else chance - padding,
        high if chance <= high else chance + padding,
    )


def _kept(rows: Sequence[PlotRow]) -> list[PlotRow]:
    """The highest means and the reference, at most SHOWN."""
    if len(rows) <= SHOWN:
        return list(rows)
    own = next(one for one in rows if one.is_reference)
    first = list(rows[:SHOWN])
    return first if own in first else [*first[:-1], own]


def chance_difference(setting: SettingAnalysis, reference: str) -> float | None:
    """Chance level minus the mean of the reference, in printed units; None where unknown."""
    metric = setting.verdict.metric
    mean = next((row.test[metric].mean for row in setting.rows if row.arm == reference), None)
    if mean is None or setting.guessing is None:
        return None
    return (100.0 if is_share(metric) else 1.0) * (setting.guessing - mean)


def _printed(metric: str, value: float) -> str:
    """A difference in printed units, as it is printed."""
    return format_difference(metric, value / 100 if is_share(metric) else value)


def _signed(text: str) -> str:
    """A tick with the sign that differences are printed with.

    >>> _signed("-5"), _signed("0"), _signed("5")
    ('−5', '0', '+5')
    """
    if text in ("0", "-0"):
        return "0"
    return text.replace("-", "−") if text.startswith("-") else f"+{text}"
