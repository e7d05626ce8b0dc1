"""What went on inside the networks of a setting, out of the rows that every epoch left.

Medians over blocks, as the curves are drawn; an epoch that fewer than half of an arm's blocks have
reached is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from normlab.errors import StorageError
from normlab.records.layer_diagnostics import PERCENTILES
from normlab.records.store import RunFolder
from normlab.stats.data.layout import Layout

REACHED = 0.5
"""The share of an arm's blocks that must have an epoch."""
MAX_LAYER_SETTINGS = 4
"""Settings whose layers are read for a report: the first ones; reading all would take too long."""
FEATURE_COLUMNS = tuple(f"p{share}" for share in PERCENTILES)
LAYER_COLUMNS = (
    *("gradient", "weight", "dead", "mean_gap", "scale_gap"),
    *("gate", "gate_low", "gate_high"),
)


@dataclass(frozen=True, eq=False)
class LayerSummaries:
    """Tidy tables of one setting."""

    arms: tuple[str, ...]
    """The arms that left rows, in the order of the plan."""
    blocks: int
    features: pd.DataFrame
    """arm, epoch, FEATURE_COLUMNS."""
    layers: pd.DataFrame
    """arm, depth (1 for the first layer), layer, epoch, LAYER_COLUMNS (nan where there is none)."""
    left_out: tuple[str, ...]
    """Rows that could not be read, a sentence each."""
    ends: pd.DataFrame
    """arm, block, depth, LAYER_COLUMNS: the last epoch of every run by itself."""

    def last(self) -> pd.DataFrame:
        """The layers at the last epoch of every arm."""
        ends = self.layers.groupby("arm")["epoch"].transform("max")
        return self.layers[self.layers["epoch"] == ends]

    def having(self, column: str) -> tuple[str, ...]:
        """The arms that have any value in a column of the layers."""
        found = set(self.layers.loc[self.layers[column].notna(), "arm"])
        return tuple(arm for arm in self.arms if arm in found)


def read_layer_summaries(layout: Layout) -> LayerSummaries | None:
    """Read the rows of all runs of a setting; None where no run left any."""
    features: list[tuple[object, ...]] = []
    layers: list[tuple[object, ...]] = []
    left_out = []
    for arm in layout.arms:
        for block in layout.blocks:
            record = layout.record(arm, block)
            if record is None:
                continue
            try:
                rows = RunFolder(record.folder).read_layer_diagnostics()
            except StorageError as error:
                left_out.append(str(error))
                continue
            for row in rows:
                features.append((arm, block, row.epoch, *row.features))
                for place, name in enumerate(row.layers):
                    low, mean, high = row.gate[place] or (None, None, None)
                    layers.append(
                        (
                            *(arm, block, place + 1, name, row.epoch),
                            *(row.gradient[place], row.weight[place], row.dead[place]),
                            *(row.mean_gap[place], row.scale_gap[place], mean, low, high),
                        )
                    )
    if not features:
        return None
    by_epoch = pd.DataFrame(features, columns=["arm", "block", "epoch", *FEATURE_COLUMNS])
    head = ["arm", "block", "depth", "layer", "epoch", *LAYER_COLUMNS]
    by_layer = pd.DataFrame(layers, columns=head)
    by_layer = by_layer.astype(dict.fromkeys(LAYER_COLUMNS, float))
    present = set(by_epoch["arm"])
    return LayerSummaries(
        arms=tuple(arm for arm in layout.arms if arm in present),
        blocks=int(by_epoch.groupby("arm")["block"].nunique().max()),
        features=_medians(by_epoch, ["arm", "epoch"], FEATURE_COLUMNS),
        layers=_medians(by_layer, ["arm", "depth", "layer", "epoch"], LAYER_COLUMNS),
        left_out=tuple(left_out),
        ends=_ends(by_layer),
    )


def _ends(by_layer: pd.DataFrame) -> pd.DataFrame:
    last = by_layer.groupby(["arm", "block"])["epoch"].transform("max")
    own = by_layer[by_layer["epoch"] == last]
    return own[["arm", "block", "depth", *LAYER_COLUMNS]].reset_index(drop=True)


def _medians(frame: pd.DataFrame, by: list[str], columns: tuple[str, ...]) -> pd.DataFrame:
    groups = frame.groupby(by, sort=True)
    found = groups[list(columns)].median()
    reached = groups["block"].nunique().reset_index()
    started = reached["arm"].map(frame.groupby("arm")["block"].nunique())
    return found.reset_index()[reached["block"] >= REACHED * started].reset_index(drop=True)
