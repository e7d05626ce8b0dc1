"""Tuning anew in every block: what is compared is the whole procedure "this norm, tuned so".

A block repeats all of it: split, initial weights, order, and the choice of the rate on its own
validation part.

    round 0    the block's points, the same for every arm and setting
    rung r     a point trains unit · 3^r epochs, and the best third goes on
    round 1…   if the fit of any arm has its optimum outside of what was tried, the range grows
               tenfold on that side, for all arms of the setting, with half as many new points
    pick       the optimum of the arm's fit (see normlab.study.tuning.fit)

`unit` is chosen so that an arm's tuning in a block trains about as long as one run that is
compared: a tuned study costs about twice an untuned one. The test part is never read. What is to be
run next is a pure function of what has been run, so that a block whose tuning is half done goes on
with the same numbers.

Rates that are chosen once and then frozen are one noisy draw which all blocks repeat; what that
costs was simulated (docs/method.md): equal norms were called different in 24 to 40 % of studies,
with tuning in every block in 3.2 to 3.5 %.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from normlab.records.cells import Cell, Setting
from normlab.records.plan import StudyPlan
from normlab.records.run import RunSpec
from normlab.records.tuning_results import Levels, Trial, TunedArm, TuningResults
from normlab.stats.data.metrics import orientation
from normlab.study.design.runs import run_spec
from normlab.study.tuning.fit import Pick, pick
from normlab.study.tuning.points import Ranges, block_points, joined, widened
from normlab.study.tuning.rungs import (
    ETA,
    Outcomes,
    TunableArm,
    run_bracket,
    survivors,
    tunable_arms,
)


@dataclass(frozen=True)
class BlockTuning:
    """Where the tuning of a block stands: what is to be run now, or the picks if nothing is."""

    missing: tuple[RunSpec, ...]
    arms: tuple[TunedArm, ...]
    ranges: Ranges


def tune_block(
    plan: StudyPlan,
    block: int,
    outcomes: Outcomes,
    skipped: Set[tuple[Setting, str]] = frozenset(),
) -> BlockTuning:
    """What the tuning of a block needs next.

    Args:
        plan: a frozen plan with a [tuning] table.
        block: its number.
        outcomes: of the runs that have ended.
        skipped: arms that an earlier look has dropped; they are not tuned any more.
    """
    assert plan.tuning is not None
    missing: list[RunSpec] = []
    entries: list[TunedArm] = []
    ranges = plan.tuning.ranges
    for setting, planned in tunable_arms(plan).items():
        arms = [arm for arm in planned if (setting, arm.name) not in skipped]
        found = _tune_setting(plan, block, arms, outcomes, missing)
        if found is None:
            continue
        trials, picks, tried = found
        for name, region in tried.items():
            ranges = joined(ranges, name, region)
        entries += [
            _entry(plan, setting, arm, block, trials[arm], picks[arm], outcomes) for arm in arms
        ]
    return BlockTuning(tuple(missing), () if missing else tuple(entries), ranges)


def with_block(plan: StudyPlan, before: TuningResults | None, tuned: BlockTuning) -> TuningResults:
    """The study's account with one more block."""
    arms = (before.arms if before is not None else ()) + tuned.arms
    ranges = before.ranges if before is not None else tuned.ranges
    for name, region in tuned.ranges.items():
        ranges = joined(ranges, name, region)
    return TuningResults(metric=plan.analysis.metric, blocks=(), ranges=ranges, arms=arms)


def block_tuning_runs(plan: StudyPlan, block: int) -> list[RunSpec]:
    """The runs that tuning a block takes if no range has to be widened, for estimates of cost."""
    assert plan.tuning is not None
    tuning = plan.tuning
    points = block_points(tuning.ranges, tuning.points, plan.seed, block, 0)
    runs = []
    for arms in tunable_arms(plan).values():
        for rung, count in enumerate(survivors(tuning.points, tuning.rungs)):
            for levels in points[:count]:
                runs += [trial_run(plan, arm.cell, block, levels, rung) for arm in arms]
    return runs


def rung_epochs(plan: StudyPlan, rung: int) -> int:
    """Epochs of a rung: unit · 3^rung, at least 1.

    With `epochs` in the plan the last rung trains so long; else Σ points_r · unit · 3^r is at most
    the epochs of a run that is compared.
    """
    assert plan.tuning is not None
    tuning = plan.tuning
    if tuning.epochs is not None:
        unit = tuning.epochs / ETA ** (tuning.rungs - 1)
    else:
        counts = survivors(tuning.points, tuning.rungs)
        unit = plan.training.epochs / sum(n * ETA**r for r, n in enumerate(counts))
    return max(1, int(unit * ETA**rung + 1e-9))


def trial_run(plan: StudyPlan, cell: Cell, block: int, levels: Levels, rung: int) -> RunSpec:
    """A point of a cell in a rung: the block's own split, weights and order, but fewer epochs."""
    spec = run_spec(plan, cell, block, levels)
    return spec.model_copy(update={"epochs": rung_epochs(plan, rung), "purpose": "tuning"})


def _tune_setting(
    plan: StudyPlan,
    block: int,
    arms: list[TunableArm],
    outcomes: Outcomes,
    missing: list[RunSpec],
) -> tuple[dict[TunableArm, list[Trial]], dict[TunableArm, Pick], Ranges] | None:
    """Rounds and rungs as far as the outcomes reach; None if something is missing."""
    tuning = plan.tuning
    assert tuning is not None

    def runs(cell: Cell, levels: Levels, rung: int) -> list[RunSpec]:
        return [trial_run(plan, cell, block, levels, rung)]

    sign = orientation(plan.analysis.metric)
    trials: dict[TunableArm, list[Trial]] = {arm: [] for arm in arms}
    ranges = tuning.ranges
    points = block_points(ranges, tuning.points, plan.seed, block, 0)
    for round_number in range(tuning.widen + 1):
        if not run_bracket(plan, arms, points, outcomes, runs, trials, missing):
            return None
        picks = {arm: pick(found, sign) for arm, found in trials.items()}
        outside = sorted({edge for found in picks.values() for edge in found.outside.items()})
        if not outside or round_number == tuning.widen:
            break
        number = max(2, tuning.points // 2)
        points = []
        for name, side in outside:
            region = widened(ranges, name, side)
            new = {**ranges, name: region}
            points += block_points(new, number, plan.seed, block, round_number + 1)
        for name, side in outside:
            ranges = joined(ranges, name, widened(ranges, name, side))
    return trials, picks, ranges


def _entry(
    plan: StudyPlan,
    setting: Setting,
    arm: TunableArm,
    block: int,
    trials: list[Trial],
    found: Pick,
    outcomes: Outcomes,
) -> TunedArm:
    seconds = 0.0
    for trial in trials:
        spec = run_spec(plan, arm.cell, block, trial.levels)
        outcome = outcomes(spec.model_copy(update={"epochs": trial.epochs, "purpose": "tuning"}))
        seconds += outcome.seconds if outcome is not None else 0.0
    return TunedArm(
        setting=setting.label,
        arm=arm.name,
        block=block,
        trials=tuple(trials),
        chosen=found.levels,
        at_edge=tuple(found.outside),
        runs=len(trials),
        epochs=sum(trial.epochs for trial in trials),
        seconds=round(seconds, 1),
    )
