"""Everything that the terminal table and the report say about a study, worked out once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from normlab.records.data_report import DataReport, Probe
from normlab.records.network import is_own
from normlab.records.plan import StudyPlan
from normlab.records.run import METRICS
from normlab.records.store import RunRecord
from normlab.records.tuning_results import TuningResults
from normlab.stats.checks.base import Check, StudyToCheck
from normlab.stats.checks.run import run_checks
from normlab.stats.data.chance import at_chance, chance_share, guessing_score
from normlab.stats.data.layout import CellStatus, Layout, first_blocks
from normlab.stats.data.pairing import PairedTable, paired_table
from normlab.stats.data.reading import StudyRecords
from normlab.stats.data.setting import Setting
from normlab.stats.inference.comparison import Comparison
from normlab.stats.inference.interaction import Interaction, interactions
from normlab.stats.inference.intervals import (
    Summary,
    summarise,
)
from normlab.stats.inference.new_images import ImageClaim, claim_of, read_correct, read_groups
from normlab.stats.inference.sequential import SequentialDecisions
from normlab.stats.inference.verdict import SettingVerdict, judge, judged_part
from normlab.stats.summary.curve_facts import SettingCurves, curve_facts
from normlab.stats.summary.timing import relative_time, speeds
from normlab.stats.summary.verdict_clauses import nothing_learned


@dataclass(frozen=True)
class ArmRow:
    """One arm in one setting."""

    arm: str
    n: int
    """Blocks with a value of the primary metric."""
    train: Mapping[str, Summary]
    """Mean and sd over blocks of each metric, on the training part in evaluation mode."""
    test: Mapping[str, Summary]
    """Mean and sd over blocks of each metric, on the test part."""
    comparison: Comparison | None
    """Against the reference; None for the reference itself, and where either has no value."""
    new_images: ImageClaim | None
    """The comparison for new images of this kind too, claim (b); accuracy alone has it."""
    speeds: Mapping[int, float]
    """Training images a second, by block."""
    relative_time: float | None
    """Time of a training step over the reference's in the same blocks (1.04 is 4 % slower)."""
    outcomes: Mapping[CellStatus, int]
    """How many blocks ended how; only what occurs."""


@dataclass(frozen=True, eq=False)
class SettingAnalysis:
    """One setting: its arms in the order of the plan, and what can be said of them."""

    setting: Setting
    rows: tuple[ArmRow, ...]
    verdict: SettingVerdict
    table: PairedTable
    """The primary metric on the test part, in the blocks that the verdict rests on."""
    curves: SettingCurves
    """How rough, how fast, how far from training."""
    at_chance: frozenset[str] = frozenset()
    """Arms that are not clearly better than guessing on the test part."""
    guessing: float | None = None
    """What guessing scores in the primary metric; None where that is not known."""

    @property
    def only_guesses(self) -> bool:
        """Whether there are arms with a value, and none of them has learned anything."""
        return bool(self.verdict.arms) and self.at_chance >= {*self.verdict.arms}


@dataclass(frozen=True, eq=False)
class Analysis:
    """All that is concluded from the records of a study."""

    plan: StudyPlan
    settings: tuple[SettingAnalysis, ...]
    interactions: tuple[Interaction, ...]
    """The interactions of the arms with every other factor."""
    checks: tuple[Check, ...]
    tuning_results: TuningResults | None
    """The account of the tuning, if there was one."""
    data: DataReport | None
    """What was found in the data when the study began, and which parts the source has."""
    planned: int
    """Runs of the design, without those that an earlier look made unnecessary."""
    done: int
    """Cells of the design whose run is final."""

    @property
    def findings(self) -> tuple[Check, ...]:
        """The checks that found something."""
        return tuple(check for check in self.checks if check.state == "finding")


def analyse_study(study: StudyRecords) -> Analysis:
    """Judge the records of a study; of one that was regrouped every verdict is exploratory."""
    analysis = analyse(study.plan, study.runs, study.tuning_results, study.data, study.probe)
    if study.planned_compare is None:
        return analysis
    note = regrouping_note(study.plan.analysis.compare, study.planned_compare)
    return replace(analysis, settings=tuple(_exploratory(one, note) for one in analysis.settings))


def regrouping_note(compared: str, planned: str) -> str:
    """That another question is answered than the plan asked.

    >>> regrouping_note("batch_size", "norm")
    'Regrouped by batch size after the runs were made (the plan compares norm), so exploratory.'
    """
    factor, before = compared.replace("_", " "), planned.replace("_", " ")
    return (
        f"Regrouped by {factor} after the runs were made (the plan compares {before}), so "
        "exploratory."
    )


def analyse(
    plan: StudyPlan,
    runs: Sequence[RunRecord],
    tuning_results: TuningResults | None = None,
    data: DataReport | None = None,
    probe: Probe | None = None,
) -> Analysis:
    """Judge a study by the analysis in its plan; the same at any time for the same records.

    With no finished run, one arm or one block there is still an Analysis: what cannot be known is
    None, and the verdict's sentence says why.
    """
    study = StudyToCheck(plan, runs, tuning_results, data, probe)
    settings = tuple(
        _analyse_setting(plan, layout, decisions) for layout, decisions in study.settings
    )
    outcomes: Counter[CellStatus] = Counter()
    for setting in settings:
        for row in setting.rows:
            outcomes.update(row.outcomes)
    return Analysis(
        plan=plan,
        settings=settings,
        interactions=interactions([setting.table for setting in settings]),
        checks=tuple(run_checks(study)),
        tuning_results=tuning_results,
        data=data,
        planned=outcomes.total() - outcomes["not needed"],
        done=sum(outcomes[s] for s in ("finished", "stopped_early", "diverged")),
    )


def _exploratory(setting: SettingAnalysis, note: str) -> SettingAnalysis:
    verdict = setting.verdict
    sentence = f"{note} {verdict.sentence}"
    return replace(setting, verdict=replace(verdict, exploratory=True, sentence=sentence))


def _analyse_setting(
    plan: StudyPlan, layout: Layout, decisions: SequentialDecisions
) -> SettingAnalysis:
    metric = plan.analysis.metric
    everything = paired_table(layout, metric)
    verdict = judge(everything, plan, decisions)
    primary, _ = judged_part(everything, decisions)
    part = first_blocks(layout, len(primary.blocks))
    names = (*METRICS, metric) if is_own(metric) else METRICS
    train = {name: paired_table(part, name, "train") for name in names}
    test = {name: paired_table(part, name) for name in names}
    reference_speeds = speeds(layout, plan.analysis.reference)
    correct = read_correct(part) if metric == "accuracy" else {}
    groups = read_groups(part) if correct else None
    rows = []
    for arm, status in zip(everything.arms, everything.status, strict=True):
        own_speeds = speeds(layout, arm)
        comparison = verdict.reference and verdict.comparison(arm, verdict.reference)
        claim = verdict.reference and claim_of(
            correct, arm, verdict.reference, part.blocks, plan.analysis.alpha, groups
        )
        rows.append(
            ArmRow(
                arm=arm,
                n=int(np.count_nonzero(~np.isnan(primary.row(arm)))),
                train={name: summarise(train[name].row(arm)) for name in names},
                test={name: summarise(test[name].row(arm)) for name in names},
                comparison=comparison or None,
                new_images=(claim or None) if arm != verdict.reference else None,
                speeds=own_speeds,
                relative_time=relative_time(own_speeds, reference_speeds),
                outcomes=dict(Counter(status)),
            )
        )
    facts = curve_facts(part, plan.analysis.alpha)
    runs = {arm: _runs(part, arm) for arm in everything.arms}
    of_all = [run for own in runs.values() for run in own]
    chance = chance_share(of_all)
    guesses = frozenset(arm for arm, own in runs.items() if at_chance(own, chance))
    if verdict.arms and guesses >= {*verdict.arms}:
        verdict = replace(verdict, sentence=nothing_learned(verdict.blocks))
    score = guessing_score(verdict.metric, of_all)
    return SettingAnalysis(layout.setting, tuple(rows), verdict, primary, facts, guesses, score)


def _runs(layout: Layout, arm: str) -> list[RunRecord]:
    found = (layout.record(arm, block) for block in layout.blocks)
    return [record for record in found if record is not None]
