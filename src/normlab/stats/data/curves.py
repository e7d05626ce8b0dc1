"""The curves of a study as one tidy table: a row a value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from normlab.records.lean.rows import column
from normlab.records.plan import StudyPlan
from normlab.records.run import METRICS
from normlab.records.store import RunRecord
from normlab.stats.data.layout import Layout, arrange

COLUMNS = ("setting", "arm", "block", "epoch", "part", "metric", "value")
PARTS = ("train", "validation")


def curves(plan: StudyPlan, runs: Sequence[RunRecord]) -> pd.DataFrame:
    """Loss, accuracy, micro F1 and macro F1 of every epoch, block and arm, for both parts.

    `train` are the running figures of the epoch (training mode, with augmentation, while the
    weights moved); `validation` is the validation part in evaluation mode at the end of the epoch,
    the only held-out part that may be looked at every epoch. Runs that diverged, were interrupted
    or still run give the epochs that they have, a value that is not finite is nan, and a cell with
    rival records gives none. Rows are in the order of plan, arm, block (counted from 1), epoch.
    """
    layouts = arrange(plan, runs)
    frames = [
        _setting_curves(layout, [str(each.setting) for each in layouts]) for layout in layouts
    ]
    return pd.concat(frames, ignore_index=True)


def setting_curves(layout: Layout) -> pd.DataFrame:
    """The curves of one setting; see `curves`."""
    return _setting_curves(layout, [layout.setting.label])


def _setting_curves(layout: Layout, settings: list[str]) -> pd.DataFrame:
    """Built by column: a study of 1,000 runs × 100 epochs has 800,000 rows."""
    records = [
        (arm, record)
        for arm in layout.arms
        for block in layout.blocks
        if (record := layout.record(arm, block)) is not None and record.rows
    ]
    values = [_values(record) for _, record in records]
    per_epoch = len(PARTS) * len(METRICS)
    rows = [value.size for value in values]
    epochs = [column(record.rows, "epoch").astype(int) for _, record in records]
    count = sum(rows) // per_epoch
    arms = list(dict.fromkeys(arm for arm, _ in records))
    flat = np.concatenate([v.ravel() for v in values]) if values else np.empty(0)
    return pd.DataFrame(
        {
            "setting": _category(
                np.full(sum(rows), settings.index(layout.setting.label)), settings
            ),
            "arm": _category(np.repeat([arms.index(arm) for arm, _ in records], rows), arms),
            "block": np.repeat(
                np.array([record.spec.block + 1 for _, record in records], dtype=int), rows
            ),
            "epoch": np.repeat(
                np.concatenate(epochs) if epochs else np.empty(0, dtype=int), per_epoch
            ),
            "part": _category(np.tile(np.repeat(range(len(PARTS)), len(METRICS)), count), PARTS),
            "metric": _category(np.tile(range(len(METRICS)), count * len(PARTS)), METRICS),
            "value": np.where(np.isfinite(flat), flat, np.nan),
        }
    )


def _values(record: RunRecord) -> Float[np.ndarray, "epochs parts metrics"]:
    return np.stack(
        [
            np.stack([column(record.rows, f"{part}.{metric}") for metric in METRICS], axis=-1)
            for part in PARTS
        ],
        axis=1,
    )


def _category(codes: np.ndarray, names: Sequence[str]) -> pd.Series[str]:
    """A column of names as small numbers; as text it would take ten times the memory."""
    dtype = pd.CategoricalDtype(list(names))
    return pd.Series(pd.Categorical.from_codes(codes.astype(np.int16), dtype=dtype))
