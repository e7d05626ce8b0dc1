"""Equal tuning: every arm tries the same points, for the same epochs, on blocks of their own.

    round 0    `points` Sobol points in the declared ranges, the same for every arm and setting
    rung r     a point trains epochs / 3^(last − r) epochs on every tuning block, and the best third
               goes on
    round 1…   if the best point of any arm lies at the edge of what was tried, the range grows
               tenfold on that side, for all arms of the setting, with half as many new points

Points are picked on the validation part; the test part is never read. Halving is allowed here
alone, with the same rungs for all: runs that are compared are never cut short.

What is to be run next is a pure function of what has been run, as everywhere in a study.

Sources: Sobol' 1967 (scrambled, Owen 1998); Jamieson & Talwalkar 2016 (successive halving);
Sivaprasad et al. 2020, "Optimizer benchmarking needs to account for hyperparameter tuning".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import qmc

from normlab.records.cells import Cell, Setting, arm_of, cells
from normlab.records.plan import StudyPlan, TuningPlan
from normlab.records.run import Outcome, RunSpec
from normlab.records.tuning_results import Levels, Trial, TunedArm, TuningResults
from normlab.stats.data.metrics import chance_level, orientation
from normlab.study.design import run_spec

FIRST_BLOCK = 1000
"""Tuning blocks are numbered from here on, so that no comparison ever uses one of them."""
ETA = 3
"""Of every rung a third goes on, to train three times as long."""
WIDENED_BY = 10.0

Outcomes = Callable[[RunSpec], Outcome | None]
"""The final outcome of a run, or None while it has none."""
Ranges = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class _Arm:
    """One arm in one setting, with all that it has been given."""

    cell: Cell
    name: str


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
    for setting, arms in _settings(plan).items():
        trials, tried = _tune_setting(plan, plan.tuning, arms, outcomes, missing)
        for name, (low, high) in tried.items():
            ranges[name] = min(low, ranges[name][0]), max(high, ranges[name][1])
        tuned += [_entry(plan, setting, arm, trials[arm], outcomes) for arm in arms]
    if missing:
        return Tuning(tuple(missing), None)
    blocks = tuple(FIRST_BLOCK + index for index in range(plan.tuning.blocks))
    tuning_results = TuningResults(
        metric=plan.analysis.metric, blocks=blocks, ranges=ranges, arms=tuple(tuned)
    )
    return Tuning((), tuning_results)


def tuning_runs(plan: StudyPlan) -> list[RunSpec]:
    """All runs that tuning takes if no range has to be widened, for estimates of cost."""
    assert plan.tuning is not None
    runs = []
    for arms in _settings(plan).values():
        for rung, count in enumerate(_survivors(plan.tuning.points, plan.tuning.rungs)):
            for levels in sobol_points(plan.tuning.ranges, plan.tuning.points, plan.seed)[:count]:
                for arm in arms:
                    runs += list(_trial_runs(plan, arm.cell, levels, rung))
    return runs


def is_tuning(spec: RunSpec) -> bool:
    """Whether a run serves tuning alone and is never compared or evaluated."""
    return spec.block >= FIRST_BLOCK


def sobol_points(ranges: Ranges, number: int, seed: int, start: int = 0) -> list[Levels]:
    """Points of one scrambled Sobol sequence, spread over the logarithms of the ranges.

        value = low · (high/low)^u,   u in [0, 1)

    `start` skips the first points, so that later rounds go on with the sequence.
    """
    names = sorted(ranges)
    unit = _unit_points(len(names), start + number, seed)[start : start + number]
    points = []
    for row in unit:
        point = {}
        for name, u in zip(names, row, strict=True):
            low, high = ranges[name]
            point[name] = float(f"{low * (high / low) ** u:.3g}")
        points.append(point)
    return points


def rung_epochs(plan: StudyPlan, rung: int) -> int:
    """Epochs of a rung: the last trains in full, each before it a third of the next."""
    assert plan.tuning is not None
    full = plan.tuning.epochs or plan.training.epochs
    return max(1, int(full / ETA ** (plan.tuning.rungs - 1 - rung) + 0.5))


def _settings(plan: StudyPlan) -> dict[Setting, list[_Arm]]:
    settings: dict[Setting, list[_Arm]] = {}
    for cell in cells(plan):
        arms = settings.setdefault(Setting.of_cell(cell, plan), [])
        arms.append(_Arm(cell, arm_of(cell, plan)))
    return settings


def _tune_setting(
    plan: StudyPlan,
    tuning: TuningPlan,
    arms: Sequence[_Arm],
    outcomes: Outcomes,
    missing: list[RunSpec],
) -> tuple[dict[_Arm, list[Trial]], Ranges]:
    """Go through rounds and rungs as far as the outcomes reach; adds what is missing."""
    trials: dict[_Arm, list[Trial]] = {arm: [] for arm in arms}
    ranges = tuning.ranges
    points = sobol_points(ranges, tuning.points, plan.seed)
    drawn = tuning.points
    for widened in range(tuning.widen + 1):
        if not _bracket(plan, arms, points, outcomes, trials, missing) or widened == tuning.widen:
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
            for name, (low, high) in region.items():
                ranges = {**ranges, name: (min(low, ranges[name][0]), max(high, ranges[name][1]))}
    return trials, ranges


def _bracket(
    plan: StudyPlan,
    arms: Sequence[_Arm],
    points: Sequence[Levels],
    outcomes: Outcomes,
    trials: dict[_Arm, list[Trial]],
    missing: list[RunSpec],
) -> bool:
    """All rungs over the points; False if runs are missing, which are then added."""
    assert plan.tuning is not None
    left = {arm: list(points) for arm in arms}
    counts = _survivors(len(points), plan.tuning.rungs)
    for rung, _ in enumerate(counts):
        complete = True
        for arm in arms:
            done = []
            for levels in left[arm]:
                runs = list(_trial_runs(plan, arm.cell, levels, rung))
                results = [(spec, outcomes(spec)) for spec in runs]
                waiting = [spec for spec, outcome in results if outcome is None]
                missing += waiting
                complete = complete and not waiting
                if not waiting:
                    found = [outcome for _, outcome in results if outcome is not None]
                    done.append(_trial(plan, levels, runs[0], found))
            trials[arm] += done
            if complete and rung + 1 < len(counts):
                left[arm] = [t.levels for t in _best_first(plan, done)[: counts[rung + 1]]]
        if not complete:
            return False
    return True


def _trial_runs(plan: StudyPlan, cell: Cell, levels: Levels, rung: int) -> Iterator[RunSpec]:
    assert plan.tuning is not None
    for index in range(plan.tuning.blocks):
        spec = run_spec(plan, cell, FIRST_BLOCK + index, levels)
        yield spec.model_copy(update={"epochs": rung_epochs(plan, rung)})


def _trial(plan: StudyPlan, levels: Levels, spec: RunSpec, outcomes: Sequence[Outcome]) -> Trial:
    metric = plan.analysis.metric
    chance = chance_level(metric, len(spec.data.classes))
    scores = []
    for outcome in outcomes:
        value = chance
        if outcome.is_final and outcome.status != "diverged" and outcome.validation is not None:
            value = getattr(outcome.validation, metric)
        scores.append(value if math.isfinite(value) else chance)
    odd = [outcome.status for outcome in outcomes if outcome.status == "diverged"]
    return Trial(
        levels=levels,
        epochs=spec.epochs,
        score=float(np.mean(scores)),
        status=odd[0] if odd else "finished",
    )


def _best_first(plan: StudyPlan, trials: Sequence[Trial]) -> list[Trial]:
    """The best score first; of equal ones the one that was tried first."""
    sign = orientation(plan.analysis.metric)
    return sorted(trials, key=lambda trial: -sign * trial.score)


def _best(plan: StudyPlan, trials: Sequence[Trial]) -> Trial:
    """The best of those that trained in full."""
    longest = max(trial.epochs for trial in trials)
    return _best_first(plan, [trial for trial in trials if trial.epochs == longest])[0]


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


def _new_ranges(plan: StudyPlan, ranges: Ranges, trials: dict[_Arm, list[Trial]]) -> list[Ranges]:
    """The decades to add, for all arms, because some arm's best point is at that edge."""
    wanted = {edge for found in trials.values() for edge in _edges(plan, found).items()}
    new: list[Ranges] = []
    for name, side in sorted(wanted):
        low, high = ranges[name]
        region = (low / WIDENED_BY, low) if side == "low" else (high, high * WIDENED_BY)
        new.append({name: region})
    return new


def _entry(
    plan: StudyPlan, setting: Setting, arm: _Arm, trials: Sequence[Trial], outcomes: Outcomes
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
            spec = run_spec(plan, arm.cell, FIRST_BLOCK + index, trial.levels)
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


def _survivors(points: int, rungs: int) -> list[int]:
    """How many points are in each rung; at least one goes on."""
    return [max(1, math.ceil(points / ETA**rung)) for rung in range(rungs)]


@lru_cache(maxsize=64)
def _unit_points(dimensions: int, number: int, seed: int) -> np.ndarray:
    """The first points of the scrambled sequence, in [0, 1)."""
    sampler = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(seed))
    points: np.ndarray = sampler.random_base2(math.ceil(math.log2(max(2, number))))
    return points
