"""The horizontal axis of the curves in other units: steps, images, seconds.

Steps and images are epochs times a number, so the page only writes other ticks; seconds are each
run's own, so it moves the points. What it needs for that is worked out here.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from normlab.records.lean.rows import column
from normlab.report.sections.curves.data import FOLLOWED_BLOCKS
from normlab.stats.data.layout import Layout

Ticks = list[tuple[float, str]]
"""Place along the axis, from 0 to 1, and text."""


@dataclass(frozen=True)
class Axes:
    """The other units of one setting's curves."""

    last: int
    """Epochs from the first to this lie between the ends of the axis."""
    ticks: Mapping[str, Ticks]
    """Ticks for "steps", "images" and "seconds"; a unit that is not known is not there."""
    seconds: Mapping[str, list[int]]
    """Place, in thousandths of the axis, of every epoch of a run, by "arm number|block" (up to
    FOLLOWED_BLOCKS); of a median by "arm number|"."""


def curve_axes(layout: Layout, arms: Mapping[str, int]) -> Axes:
    """The axes of a setting."""
    runs = {
        (arm, block): record.rows
        for arm in layout.arms
        for block in layout.blocks
        if (record := layout.record(arm, block)) is not None and record.rows
    }
    last = max([2, *map(len, runs.values())])
    sizes = [int(column(rows, "train.images")[0]) for rows in runs.values()]
    images = statistics.median(sizes) if sizes else 0
    ticks = {}
    batch_size = layout.setting.batch_size
    if images and batch_size is not None:  # where batch sizes are compared, steps are not alike
        steps = math.ceil(images / batch_size)
        ticks["steps"] = linear_ticks(steps, last * steps)
    if images:
        ticks["images"] = linear_ticks(images, last * images)
    elapsed = {key: np.cumsum(column(rows, "seconds")) for key, rows in runs.items()}
    longest = max((float(own[-1]) for own in elapsed.values()), default=0.0)
    seconds: dict[str, list[int]] = {}
    if longest > 0 and math.isfinite(longest):
        ticks["seconds"] = linear_ticks(0.0, longest)
        by_arm: dict[str, list[list[int]]] = {}
        for (arm, block), own in elapsed.items():
            places = [round(1000 * float(value) / longest) for value in own]
            if len(layout.blocks) <= FOLLOWED_BLOCKS:
                seconds[f"{arms[arm]}|{block + 1}"] = places
            by_arm.setdefault(arm, []).append(places)
        for arm, lists in by_arm.items():
            seconds[f"{arms[arm]}|"] = [
                round(statistics.median(p[e] for p in lists if len(p) > e))
                for e in range(max(map(len, lists)))
            ]
    return Axes(last, ticks, seconds)


def linear_ticks(low: float, high: float, number: int = 6) -> Ticks:
    """About so many round numbers between two ends.

    >>> linear_ticks(0, 10, 5)
    [(0.0, '0'), (0.2, '2'), (0.4, '4'), (0.6, '6'), (0.8, '8'), (1.0, '10')]
    """
    span = high - low
    if span <= 0:
        return []
    rough = span / number
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * f for f in (1, 2, 5, 10) if power * f >= rough * 0.999)
    first = math.ceil(low / step)
    values = [step * k for k in range(first, math.floor(high / step + 1e-9) + 1)]
    return [(round((value - low) / span, 4), short_number(value)) for value in values]


def short_number(value: float) -> str:
    """A number for a tick.

    >>> short_number(1500), short_number(250000), short_number(0.5)
    ('1.5k', '250k', '0.5')
    """
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def as_data(axes: Axes) -> dict[str, object]:
    """The axes as plain data, for the page's JSON."""
    return {
        "last": axes.last,
        "ticks": {unit: list(map(list, ticks)) for unit, ticks in axes.ticks.items()},
        "seconds": dict(axes.seconds),
    }


def units(axes: Sequence[Axes]) -> tuple[str, ...]:
    """The units that any setting has, epochs first."""
    found = dict.fromkeys(unit for one in axes for unit in one.ticks)
    return ("epochs", *found)
