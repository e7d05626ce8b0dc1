"""NL002: arms that were tuned unequally."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from normlab.records.cells import Setting, tuned
from normlab.records.plan import StudyPlan
from normlab.records.store import RunRecord
from normlab.records.tuning_results import TunedArm, TuningResults
from normlab.stats.checks.base import (
    Result,
    StudyToCheck,
    check,
    finding,
    listed,
    not_applicable,
    passed,
)


@check("NL002", "Arms are tuned equally", severity="error")
def unequal_tuning(study: StudyToCheck) -> Result:
    """Points, runs and epochs of every arm of a setting agree, and runs use what was chosen.

    Without tuning all arms share one value, which is equal in what it costs, but measures how well
    an arm bears that value; the verdict names it.
    """
    if study.plan.tuning is None:
        return not_applicable(
            "nothing is tuned: all arms share what the plan says, and the verdict names it"
        )
    if study.tuning_results is None:
        return not_applicable("the tuning has not ended yet")
    by_setting: dict[tuple[str, int | None], list[TunedArm]] = defaultdict(list)
    for entry in study.tuning_results.arms:
        by_setting[entry.setting, entry.block].append(entry)
    faults = [fault for entries in by_setting.values() for fault in _unequal(entries)]
    faults += _not_as_chosen(study.plan, study.runs, study.tuning_results)
    if faults:
        return finding(listed(faults))
    first = study.tuning_results.arms[0]
    message = (
        f"every arm tried the same {len({str(t.levels) for t in first.trials})} points in "
        f"{first.runs} runs of {first.epochs} epochs together"
    )
    return passed(message)


def _unequal(entries: Sequence[TunedArm]) -> list[str]:
    """What differs between the arms of a setting; later rungs choose their own points."""
    first = entries[0]
    faults = []
    for entry in entries[1:]:
        for name in ("runs", "epochs"):
            mine, other = getattr(entry, name), getattr(first, name)
            if mine != other:
                faults.append(
                    f"{entry.setting}: {entry.arm} had {mine} {name}, {first.arm} {other}"
                )
        if _first_rung(entry) != _first_rung(first):
            faults.append(f"{entry.setting}: {entry.arm} and {first.arm} tried other points")
    return faults


def _first_rung(entry: TunedArm) -> set[str]:
    shortest = min((trial.epochs for trial in entry.trials), default=0)
    return {str(trial.levels) for trial in entry.trials if trial.epochs == shortest}


def _not_as_chosen(
    plan: StudyPlan, runs: Sequence[RunRecord], tuning_results: TuningResults
) -> list[str]:
    faults: dict[str, None] = {}
    for run in runs:
        setting = Setting.of(run.spec, plan).label
        entry = tuning_results.find(setting, run.spec.arm, run.spec.block)
        if entry is None:
            faults[f"{run.spec.arm} was not tuned in {setting}"] = None
            continue
        chosen = entry.chosen
        used = run.spec.optimizer
        for name in tuned(plan):
            if getattr(used, name) != chosen[name]:
                faults[
                    f"{setting}: {run.spec.arm} ran with {name.replace('_', ' ')} "
                    f"{getattr(used, name):g}, chosen was {chosen[name]:g}"
                ] = None
    return list(faults)
