"""The tables of the original work as plain data: by norm, by optimizer and by batch size.

Every number is a mean ± standard deviation over blocks, with their number n. "train" is the
training part in evaluation mode, "test" the test part, both at the reported epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Literal

from normlab.records.network import is_own
from normlab.records.run import METRICS
from normlab.report.export.table import Cell, Table
from normlab.stats.data.metrics import LABELS
from normlab.stats.data.setting import Setting
from normlab.stats.summary.analysis import Analysis, ArmRow, SettingAnalysis

TablePart = Literal["train", "test"]


PART_TITLES: dict[TablePart, str] = {"train": "Training", "test": "Test"}
_MEASURED: dict[TablePart, str] = {
    "train": "the training part, in evaluation mode and without augmentation",
    "test": "the test part, which no choice was made on",
}
COLUMN_METRICS = ("loss", "accuracy", "micro_f1", "macro_f1")
"""The order of the original's tables."""
assert set(COLUMN_METRICS) == set(METRICS)


def study_tables(analysis: Analysis) -> tuple[Table, ...]:
    """All tables that the factors of the study make, training before test.

    By norm: always, one a setting. By optimizer and learning rate: one a batch size at which there
    are two or more of them. By batch size: one an optimizer and rate that has two or more. Each
    holds its other factors still, so that no table mixes two of them.
    """
    if is_own(analysis.plan.analysis.metric):  # none of these metrics was measured
        return ()
    settings = analysis.settings
    tables = []
    for setting in settings:
        tables += [by_norm(setting, part) for part in PART_TITLES]
    for group in _groups(settings, lambda s: (s.batch_size,)):
        if len({(s.setting.optimizer, s.setting.learning_rate) for s in group}) >= 2:
            tables += [by_optimizer(group, part) for part in PART_TITLES]
    for group in _groups(settings, lambda s: (s.optimizer, s.learning_rate)):
        if len({s.setting.batch_size for s in group}) >= 2:
            tables += [by_batch_size(group, part) for part in PART_TITLES]
    return tuple(tables)


def by_norm(setting: SettingAnalysis, part: TablePart) -> Table:
    """One row an arm, in the order of the plan."""
    return Table(
        slug=f"norm-{part}-{setting.setting.slug}",
        title=f"{PART_TITLES[part]} by normalization",
        caption=table_caption(part, str(setting.setting)),
        head=("norm", *metric_head()),
        rows=tuple((row.arm, *_figures(row, part)) for row in setting.rows),
    )


def by_optimizer(group: Sequence[SettingAnalysis], part: TablePart) -> Table:
    """One row an optimizer, learning rate and arm, at one batch size."""
    batch_size = group[0].setting.batch_size
    return Table(
        slug=f"optimizer-{part}-batch{batch_size}",
        title=f"{PART_TITLES[part]} by optimizer and normalization",
        caption=table_caption(part, f"batch {batch_size}"),
        head=("optimizer", "learning rate", "norm", *metric_head()),
        rows=tuple(
            (
                one.setting.optimizer or "",
                _rate(one.setting),
                row.arm,
                *_figures(row, part),
            )
            for one in group
            for row in one.rows
        ),
    )


def _rate(setting: Setting) -> str:
    return "tuned" if setting.learning_rate is None else f"{setting.learning_rate:g}"


def by_batch_size(group: Sequence[SettingAnalysis], part: TablePart) -> Table:
    """One row an arm and batch size, at one optimizer and learning rate, as the original has it."""
    setting = group[0].setting
    arms = dict.fromkeys(row.arm for one in group for row in one.rows)
    ordered = sorted(group, key=lambda one: one.setting.batch_size or 0)
    return Table(
        slug=f"batch-{part}-{setting.optimizer}-lr{_rate(setting)}",
        title=f"{PART_TITLES[part]} by batch size and normalization",
        caption=table_caption(part, f"{setting.optimizer}, learning rate {_rate(setting)}"),
        head=("norm", "batch size", *metric_head()),
        rows=tuple(
            (arm, one.setting.batch_size or 0, *_figures(row, part))
            for arm in arms
            for one in ordered
            for row in one.rows
            if row.arm == arm
        ),
    )


def _groups(
    settings: Sequence[SettingAnalysis], key: Callable[[Setting], Hashable]
) -> list[list[SettingAnalysis]]:
    """The settings that share a key, in the order in which the keys occur."""
    groups: dict[Hashable, list[SettingAnalysis]] = {}
    for setting in settings:
        groups.setdefault(key(setting.setting), []).append(setting)
    return list(groups.values())


def metric_head() -> tuple[str, ...]:
    """The columns of the original's tables, and n."""
    return (*(LABELS[metric] for metric in COLUMN_METRICS), "n")


def _figures(row: ArmRow, part: TablePart) -> tuple[Cell, ...]:
    summaries = row.train if part == "train" else row.test
    cells = [summaries[metric] for metric in COLUMN_METRICS]
    return (*cells, max(cell.n for cell in cells))


def table_caption(part: TablePart, setting: str) -> str:
    """What was measured, on which part, over what."""
    return (
        f"{setting}. Measured on {_MEASURED[part]}; mean ± standard deviation over n blocks; a "
        "diverged run counts as guessing."
    )
