"""What the layers looked like at the end of every run, as values of the arms over the blocks.

gradient    log10 of the first layer's gradient over the last layer's (root mean squares)
dead        share of channels whose ReLU is 0 everywhere, mean over layers
gate        mean gate of batch-instance normalization over layers: 1 batch, 0 instance
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from normlab.stats.data.layout import Layout
from normlab.stats.summary.layer_diagnostics import LayerSummaries
from normlab.stats.summary.words.evidence import Values


def gradient_ratio(layout: Layout, layers: LayerSummaries) -> Values:
    """How small the gradient is at the first layer against the last one, in decades."""

    def measure(rows: pd.DataFrame) -> float:
        known = rows[rows["gradient"].notna() & (rows["gradient"] > 0)].sort_values("depth")
        if len(known) < 2:
            return math.nan
        return float(np.log10(known["gradient"].iloc[0] / known["gradient"].iloc[-1]))

    return _over_runs(layout, layers, measure)


def dead_share(layout: Layout, layers: LayerSummaries) -> Values:
    """The share of dead channels."""
    return _over_runs(layout, layers, lambda rows: _mean(rows["dead"]))


def mean_gate(layout: Layout, layers: LayerSummaries) -> Values:
    """Where the gates stand; nan for arms without any."""
    return _over_runs(layout, layers, lambda rows: _mean(rows["gate"]))


def fewest_values(layout: Layout, arm: str, over: str | None = None) -> tuple[int, str] | None:
    """The fewest values that a statistic of the arm rests on, and the layer, in any block."""
    found = [
        (site.values, site.layer)  # noqa: PD011
        for block in layout.blocks
        if (record := layout.record(arm, block)) is not None and record.outcome is not None
        for site in record.outcome.norm_sites or ()
        if site.values is not None and over in (None, site.over)  # noqa: PD011
    ]
    return min(found, key=lambda one: one[0], default=None)


def _mean(column: pd.Series[float]) -> float:
    return float(column.mean()) if column.notna().any() else math.nan


def _over_runs(
    layout: Layout, layers: LayerSummaries, measure: Callable[[pd.DataFrame], float]
) -> Values:
    found = {
        tuple(cell): measure(rows)
        for cell, rows in layers.ends.groupby(["arm", "block"], sort=False)
        if isinstance(cell, tuple)
    }
    return {
        arm: np.array([found.get((arm, block), math.nan) for block in layout.blocks], dtype=float)
        for arm in layout.arms
    }
