"""The points that arms try: spread over the logarithms of the ranges, the same for every arm."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.stats import qmc

from normlab.randomness import numpy_stream
from normlab.records.tuning_results import Levels

WIDENED_BY = 10.0
"""A range grows by a decade on the side where an optimum seems to lie outside."""

Ranges = dict[str, tuple[float, float]]
"""Lowest and highest value of every tuned parameter."""


def sobol_points(ranges: Ranges, number: int, seed: int, start: int = 0) -> list[Levels]:
    """Points of one scrambled Sobol sequence, spread over the logarithms of the ranges.

        value = low · (high/low)^u,   u in [0, 1)

    Args:
        ranges: lowest and highest of each parameter.
        number: how many points.
        seed: of the scrambling (Owen 1998).
        start: skips the first points, so that later rounds go on with the sequence.

    Returns:
        One value a parameter and point, rounded to three digits.
    """
    names = sorted(ranges)
    unit = _unit_points(len(names), start + number, seed)[start : start + number]
    return [_levels(names, row, ranges) for row in unit]


def block_points(ranges: Ranges, number: int, seed: int, block: int, widened: int) -> list[Levels]:
    """The points of one block, which differ from block to block and are the same for every arm.

    In one dimension a grid that is even in the logarithm, shifted by a draw of the block, so that
    the points of all blocks together cover the range: u_i = (i + shift)/number. (In one dimension a
    grid is as good as a Sobol sequence.) In more dimensions Sobol points, scrambled by the block.

    Args:
        ranges: of this round; a widened one is only what is new.
        number: how many points.
        seed: of the study.
        block: whose points these are.
        widened: how often the range has grown, 0 for the first round.
    """
    names = sorted(ranges)
    generator = numpy_stream(seed, block, "tuning", widened)
    if len(names) > 1:
        return sobol_points(ranges, number, int(generator.integers(2**31)))
    shift = float(generator.uniform())
    return [_levels(names, np.array([(i + shift) / number]), ranges) for i in range(number)]


def widened(ranges: Ranges, name: str, side: str) -> tuple[float, float]:
    """The decade below ("low") or above ("high") the range of a parameter."""
    low, high = ranges[name]
    return (low / WIDENED_BY, low) if side == "low" else (high, high * WIDENED_BY)


def joined(ranges: Ranges, name: str, region: tuple[float, float]) -> Ranges:
    """The ranges with a region added to one of them."""
    low, high = ranges[name]
    return {**ranges, name: (min(low, region[0]), max(high, region[1]))}


def _levels(names: list[str], row: np.ndarray, ranges: Ranges) -> Levels:
    point = {}
    for name, u in zip(names, row, strict=True):
        low, high = ranges[name]
        point[name] = float(f"{low * (high / low) ** u:.3g}")
    return point


@lru_cache(maxsize=64)
def _unit_points(dimensions: int, number: int, seed: int) -> np.ndarray:
    """The first points of the scrambled sequence, in [0, 1)."""
    sampler = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(seed))
    points: np.ndarray = sampler.random_base2(math.ceil(math.log2(max(2, number))))
    return points
