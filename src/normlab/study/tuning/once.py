"""Tuning once, on blocks of its own before the comparison, as studies did before method 2.

    round 0    `points` Sobol points in the declared ranges, the same for every arm and setting
    rung r     a point trains epochs / 3^(last − r) epochs on every tuning block, and the best third
               goes on
    round 1…   if the best point of any arm lies at the edge of what was tried, the range grows
               tenfold on that side, for all arms of the setting, with half as many new points

Points are picked on the validation part; the test part is never read. What is to be run next is a
pure function of what has been run, as everywhere in a study.

The rates of one tuning are one noisy draw, which all blocks then repeat: two norms that are equal
at every rate were called different in 24 to 40 % of simulated studies. Its verdict is exploratory.

Sources: Sobol' 1967 (scrambled, Owen 1998); Jamieson & Talwalkar 2016 (successive halving);
Sivaprasad et al. 2020, "Optimizer benchmarking needs to account for hyperparameter tuning".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from normlab.records.cells import Cell, Setting
from normlab.records.plan import StudyPlan, TuningPlan
from normlab.records.run import FIRST_TUNING_BLOCK, RunSpec
from normlab.records.tuning_results import Levels, Trial, TunedArm, TuningResults
from normlab.study.design.runs import run_spec
from normlab.study.tuning.points import Ranges, joined, sobol_points, widened
from normlab.study.tuning.rungs import (
    ETA,
    Outcomes,
    TunableArm,
    best_first,
    run_bracket,
    survivors,
    tunable_arms,
)


@dataclass(frozen=True)
class Tuning:
    """Where the tuning stands: what is to be run now, or the results if nothing is left."""

    missing: tuple[RunSpec, ...]
    tuning_results: TuningResults | None


def tune(plan: StudyPlan, outcomes: Outcomes) -> Tuning:
    """What the tuning of a frozen plan needs next; the plan must have a [tuning] table."""
    assert plan.tuning is not None
    missing: list[RunSpec] = []
    tuned: list[TunedArm] = []
    ranges = plan.tuning.ranges
    for setting, arms in tunable_arms(plan).items():
        trials, tried = _tune_setting(plan, plan.tuning, arms, outcomes, missing)
        for name, (low, high) in tried.items():
            ranges[name] = min(low, ranges[name][0]), max(high, ranges[name][1])
        tuned += [_entry(plan, setting, arm, trials[arm], outcomes) for arm in arms]
    if missing:
        return Tuning(tuple(missing), None)
    blocks = tuple(FIRST_TUNING_BLOCK + index for index in range(plan.tuning.blocks))
    tuning_results = TuningResults(
        metric=plan.analysis.metric, blocks=blocks, ranges=ranges, arms=tuple(tuned)
    )
    return Tuning((), tuning_results)


def tuning_runs(plan: StudyPlan) -> list[RunSpec]:
    """All runs that tuning takes if no range has to be widened, for estimates of cost."""
    assert plan.tuning is not None
    runs = []
    for arms in tunable_arms(plan).values():
        for rung, count in enumerate(survivors(plan.tuning.points, plan.tuning.rungs)):
            for levels in sobol_points(plan.tuning.ranges, plan.tuning.points, plan.seed)[:count]:
                for arm in arms:
                    runs += _trial_runs(plan, arm.cell, levels, rung)
    return runs


def rung_epochs(plan: StudyPlan, rung: int) -> int:
    """Epochs of a rung: the last trains in full, each before it a third of the next."""
    assert plan.tuning is not None
    full = plan.tuning.epochs or plan.training.epochs
    return max(1, int(full / ETA ** (plan.tuning.rungs - 1 - rung) + 0.5))


def _tune_setting(
    plan: StudyPlan,
    tuning: TuningPlan,
    arms: Sequence[TunableArm],
    outcomes: Outcomes,
    missing: list[RunSpec],
) -> tuple[dict[TunableArm, list[Trial]], Ranges]:
    """Go through rounds and rungs as far as the outcomes reach; adds what is missing."""
    trials: dict[TunableArm, list[Trial]] = {arm: [] for arm in arms}
    ranges = tuning.ranges
    points = sobol_points(ranges, tuning.points, plan.seed)

    def runs(cell: Cell, levels: Levels, rung: int) -> list[RunSpec]:
        return _trial_runs(plan, cell, levels, rung)

    drawn = tuning.points
    for round_number in range(tuning.widen + 1):
        if not run_bracket(plan, arms, points, outcomes, runs, trials, missing):
            break
        if round_number == tuning.widen:
            break
        new = _new_ranges(plan, ranges, trials)
        if not new:
            break
        number = max(2, tuning.points // 2)
        points = []
        for region in new:
            points += sobol_points({**ranges, **region}, number, plan.seed, start=drawn)
            drawn += number
        for region in new:
            for name, added in region.items():
                ranges = joined(ranges, name, added)
    return trials, ranges


def _trial_runs(plan: StudyPlan, cell: Cell, levels: Levels, rung: int) -> list[RunSpec]:
    assert plan.tuning is not None
    blocks = [FIRST_TUNING_BLOCK + index for index in range(plan.tuning.blocks)]
    epochs = {"epochs": rung_epochs(plan, rung)}
    return [run_spec(plan, cell, block, levels).model_copy(update=epochs) for block in blocks]


def _best(plan: StudyPlan, trials: Sequence[Trial]) -> Trial:
    """The best of those that trained in full."""
    longest = max(trial.epochs for trial in trials)
    return best_first(plan, [trial for trial in trials if trial.epochs == longest])[0]


def _edges(plan: StudyPlan, trials: Sequence[Trial]) -> dict[str, str]:
    """The parameters whose best value is the lowest or the highest that was tried."""
    best = _best(plan, trials).levels
    edges = {}
    for name, value in best.items():
        values = [trial.levels[name] for trial in trials]
        if value == min(values):
            edges[name] = "low"
        elif value == max(values):
            edges[name] = "high"
    return edges


def _new_ranges(
    plan: StudyPlan, ranges: Ranges, trials: dict[TunableArm, list[Trial]]
) -> list[Ranges]:
    """The decades to add, for all arms, because some arm's best point is at that edge."""
    wanted = {edge for found in trials.values() for edge in _edges(plan, found).items()}
    new: list[Ranges] = []
    for name, side in sorted(wanted):
        new.append({name: widened(ranges, name, side)})
    return new


def _entry(
    plan: StudyPlan, setting: Setting, arm: TunableArm, trials: Sequence[Trial], outcomes: Outcomes
) -> TunedArm:
    assert plan.tuning is not None
    if not trials:
        return TunedArm(
            setting=setting.label, arm=arm.name, trials=(), chosen={}, at_edge=(), runs=0,
            epochs=0, seconds=0.0,
        )  # fmt: skip
    seconds = 0.0
    for trial in trials:
        for index in range(plan.tuning.blocks):
            spec = run_spec(plan, arm.cell, FIRST_TUNING_BLOCK + index, trial.levels)
            outcome = outcomes(spec.model_copy(update={"epochs": trial.epochs}))
            seconds += outcome.seconds if outcome is not None else 0.0
    return TunedArm(
        setting=setting.label,
        arm=arm.name,
        trials=tuple(trials),
        chosen=_best(plan, trials).levels,
        at_edge=tuple(_edges(plan, trials)),
        runs=len(trials) * plan.tuning.blocks,
        epochs=sum(trial.epochs for trial in trials) * plan.tuning.blocks,
        seconds=round(seconds, 1),
    )
