"""Everything that the terminal table and the report say about a study, worked out once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from normlab.records.plan import StudyPlan
from normlab.records.schema import METRICS
from normlab.records.store import RunRecord
from normlab.stats.checks.check import Check
from normlab.stats.checks.run import run_checks
from normlab.stats.comparison import Comparison
from normlab.stats.intervals import Summary, summarise
from normlab.stats.layout import CellStatus, Layout, arrange
from normlab.stats.pairing import PairedTable, paired_table
from normlab.stats.setting import Setting
from normlab.stats.verdict import SettingVerdict, judge


@dataclass(frozen=True)
class ArmRow:
    """One arm in one setting."""

    arm: str
    n: int
    """Blocks with a value of the primary metric."""
    train: Mapping[str, Summary]
    """Of each metric: the training part in evaluation mode, mean and sd over blocks."""
    validation: Mapping[str, Summary]
    """Of each metric: the evaluation part, mean and sd over blocks."""
    comparison: Comparison | None
    """Against the reference; None for the reference itself, and where either has no value."""
    images_per_second: float | None
    relative_time: float | None
    """Time of a training step relative to the reference's (1.04 is 4 % slower)."""
    outcomes: Mapping[CellStatus, int]
    """How many blocks ended how; only what occurs."""


@dataclass(frozen=True, eq=False)
class SettingAnalysis:
    """One setting: its arms in the order of the plan, and what can be said of them."""

    setting: Setting
    rows: tuple[ArmRow, ...]
    verdict: SettingVerdict
    table: PairedTable
    """The primary metric on the evaluation part."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """A study, judged."""

    plan: StudyPlan
    settings: tuple[SettingAnalysis, ...]
    checks: tuple[Check, ...]
    planned: int
    """Runs of the design."""
    done: int
    """Cells of the design whose run is final."""

    @property
    def findings(self) -> tuple[Check, ...]:
        """The checks that found something."""
        return tuple(check for check in self.checks if check.state == "finding")


def analyse(plan: StudyPlan, runs: Sequence[RunRecord]) -> Analysis:
    """Judge a study by the analysis in its plan; pure, and the same at any time for the same runs.

    With no finished run, one arm or one block there is still an Analysis: what cannot be known is
    None, and the verdict's sentence says why.
    """
    layouts = arrange(plan, runs)
    settings = tuple(_analyse_setting(plan, layout) for layout in layouts)
    outcomes: Counter[CellStatus] = Counter()
    for setting in settings:
        for row in setting.rows:
            outcomes.update(row.outcomes)
    return Analysis(
        plan=plan,
        settings=settings,
        checks=tuple(run_checks(plan, runs)),
        planned=outcomes.total(),
        done=sum(outcomes[s] for s in ("finished", "stopped_early", "diverged")),
    )


def _analyse_setting(plan: StudyPlan, layout: Layout) -> SettingAnalysis:
    primary = paired_table(layout, plan.analysis.metric)
    verdict = judge(primary, plan.analysis)
    train = {metric: paired_table(layout, metric, "train") for metric in METRICS}
    validation = {metric: paired_table(layout, metric) for metric in METRICS}
    speeds = {arm: throughput(layout, arm) for arm in layout.arms}
    reference_speed = speeds.get(plan.analysis.reference)
    rows = []
    for arm, status in zip(primary.arms, primary.status, strict=True):
        speed = speeds[arm]
        comparison = verdict.reference and verdict.comparison(arm, verdict.reference)
        rows.append(
            ArmRow(
                arm=arm,
                n=int(np.count_nonzero(~np.isnan(primary.row(arm)))),
                train={metric: summarise(train[metric].row(arm)) for metric in METRICS},
                validation={metric: summarise(validation[metric].row(arm)) for metric in METRICS},
                comparison=comparison or None,
                images_per_second=speed,
                relative_time=reference_speed / speed if reference_speed and speed else None,
                outcomes=dict(Counter(status)),
            )
        )
    return SettingAnalysis(layout.setting, tuple(rows), verdict, primary)


def throughput(layout: Layout, arm: str) -> float | None:
    """Median training images a second over epochs and blocks.

    The first epoch of a run is left out where there are more: it pays for warming up.
    """
    values = []
    for block in layout.blocks:
        record = layout.record(arm, block)
        if record is not None:
            rows = record.rows[1:] if len(record.rows) > 1 else record.rows
            values += [row.images_per_second for row in rows]
    median = float(np.median(values)) if values else 0.0
    return median if median > 0 else None
