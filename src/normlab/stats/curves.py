"""The curves of a study as one tidy table: a row a value."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from normlab.records.plan import StudyPlan
from normlab.records.schema import METRICS
from normlab.records.store import RunRecord
from normlab.stats.layout import Layout, arrange

COLUMNS = ("setting", "arm", "block", "epoch", "part", "metric", "value")
PARTS = ("train", "validation")


def curves(plan: StudyPlan, runs: Sequence[RunRecord]) -> pd.DataFrame:
    """Loss, accuracy, micro F1 and macro F1 of every epoch, block and arm, for both parts.

    `train` are the running figures of the epoch (training mode, with augmentation, while the
    weights moved); `validation` is the selection part in evaluation mode at the end of the epoch,
    the only held-out part that may be looked at every epoch. Runs that diverged, were interrupted
    or still run give the epochs that they have, a value that is not finite is nan, and a cell with
    rival records gives none. Rows are in the order of plan, arm, block, epoch.
    """
    return pd.concat([setting_curves(layout) for layout in arrange(plan, runs)], ignore_index=True)


def setting_curves(layout: Layout) -> pd.DataFrame:
    """The curves of one setting; see `curves`."""
    cells = [
        (arm, record)
        for arm in layout.arms
        for block in layout.blocks
        if (record := layout.record(arm, block)) is not None
    ]
    content = [
        (layout.setting.label, arm, record.spec.block, row.epoch, part, metric, value)
        for arm, record in cells
        for row in record.rows
        for part, measures in (("train", row.train), ("validation", row.selection))
        for metric in METRICS
        for value in (getattr(measures, metric),)
    ]
    frame = pd.DataFrame(content, columns=list(COLUMNS))
    frame["value"] = (
        frame["value"].astype(float).replace([float("inf"), float("-inf")], float("nan"))
    )
    return frame.astype({"block": int, "epoch": int})
