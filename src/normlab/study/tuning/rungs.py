"""Successive halving over the points of an arm, with the same rungs for all arms.

Source: Jamieson & Talwalkar 2016. It is allowed in tuning alone: runs that are compared are never
cut short.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from normlab.records.cells import Cell, Setting, arm_of, cells
from normlab.records.plan import StudyPlan
from normlab.records.run import Outcome, RunSpec
from normlab.records.tuning_results import Levels, Trial
from normlab.stats.data.metrics import chance_level, orientation

ETA = 3
"""The factor between rungs: a third of the points goes on, to train three times as long."""

Outcomes = Callable[[RunSpec], Outcome | None]
"""The final outcome of a run, or None while it has none."""
Runs = Callable[[Cell, Levels, int], list[RunSpec]]
"""The runs of a cell's point in a rung."""


@dataclass(frozen=True)
class TunableArm:
    """One arm in one setting."""

    cell: Cell
    name: str


def tunable_arms(plan: StudyPlan) -> dict[Setting, list[TunableArm]]:
    """The arms of every setting, in the order of the plan."""
    settings: dict[Setting, list[TunableArm]] = {}
    for cell in cells(plan):
        arms = settings.setdefault(Setting.of_cell(cell, plan), [])
        arms.append(TunableArm(cell, arm_of(cell, plan)))
    return settings


def survivors(points: int, rungs: int) -> list[int]:
    """How many points are in each rung; at least one goes on.

    >>> survivors(8, 2)
    [8, 3]
    """
    return [max(1, math.ceil(points / ETA**rung)) for rung in range(rungs)]


def run_bracket(
    plan: StudyPlan,
    arms: Sequence[TunableArm],
    points: Sequence[Levels],
    outcomes: Outcomes,
    runs: Runs,
    trials: dict[TunableArm, list[Trial]],
    missing: list[RunSpec],
) -> bool:
    """Go through all rungs over the points as far as the outcomes reach.

    Args:
        plan: a frozen plan with a [tuning] table.
        arms: of one setting.
        points: what every arm tries in the first rung.
        outcomes: of the runs that have ended.
        runs: what a point of a rung is run as.
        trials: what is found is added to it.
        missing: runs that are still needed are added to it.

    Returns:
        Whether nothing is missing.
    """
    assert plan.tuning is not None
    left = {arm: list(points) for arm in arms}
    counts = survivors(len(points), plan.tuning.rungs)
    for rung, _ in enumerate(counts):
        complete = True
        for arm in arms:
            done = []
            for levels in left[arm]:
                specs = runs(arm.cell, levels, rung)
                results = [(spec, outcomes(spec)) for spec in specs]
                waiting = [spec for spec, outcome in results if outcome is None]
                missing += waiting
                complete = complete and not waiting
                if not waiting:
                    found = [outcome for _, outcome in results if outcome is not None]
                    done.append(_trial(plan, levels, specs[0], found))
            trials[arm] += done
            if complete and rung + 1 < len(counts):
                left[arm] = [t.levels for t in best_first(plan, done)[: counts[rung + 1]]]
        if not complete:
            return False
    return True


def best_first(plan: StudyPlan, trials: Sequence[Trial]) -> list[Trial]:
    """The best score first; of equal ones the one that was tried first."""
    sign = orientation(plan.analysis.metric)
    return sorted(trials, key=lambda trial: -sign * trial.score)


def _trial(plan: StudyPlan, levels: Levels, spec: RunSpec, outcomes: Sequence[Outcome]) -> Trial:
    metric = plan.analysis.metric
    chance = chance_level(metric, len(spec.data.classes))
    scores = []
    for outcome in outcomes:
        value = chance
        if outcome.is_final and outcome.status != "diverged" and outcome.validation is not None:
            value = getattr(outcome.validation, metric)
        scores.append(value if math.isfinite(value) else chance)
    diverged = any(outcome.status == "diverged" for outcome in outcomes)
    return Trial(
        levels=levels,
        epochs=spec.epochs,
        score=float(np.mean(scores)),
        status="diverged" if diverged else "finished",
    )
