"""Finished runs seen from another factor: its levels become the arms, and nothing is trained again.

A study of two norms at three batch sizes compares the norms, once at each batch size. Regrouped by
batch size it compares the batch sizes, once with each norm. Only what is held in memory changes;
the records and the plan on disk stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from normlab.errors import UnknownNameError, UsageError
from normlab.records.cells import Cell, Setting, arm_of, arm_of_run, cells, split_name, tuned
from normlab.records.plan import Exclusion, StudyPlan
from normlab.records.run import RunSpec
from normlab.records.store import RunRecord
from normlab.records.tuning_results import TuningResults
from normlab.stats.data.reading import StudyRecords

PLAIN_FACTORS = ("norm", "optimizer", "learning_rate", "batch_size")


def varied_factors(plan: StudyPlan) -> dict[str, tuple[str, ...]]:
    """Every factor that has two or more levels among the cells of the plan, with their names.

    A parameter that is tuned is no factor: each arm has values of its own.
    """
    names = [*PLAIN_FACTORS, *dict.fromkeys(key for one in plan.factors for key in one.training)]
    rows = cells(plan)
    found = {}
    for name in names:
        if name in tuned(plan):
            continue
        seen = _comparing(plan, name, "")
        levels = tuple(dict.fromkeys(arm_of(cell, seen) for cell in rows))
        if len(levels) >= 2:
            found[name] = levels
    return found


def regroup(study: StudyRecords, factor: str, reference: str | None = None) -> StudyRecords:
    """The same runs with the levels of another factor as the arms.

    Args:
        study: the records as they were read.
        factor: norm, optimizer, learning_rate, batch_size, or a key of [training] that varies.
        reference: the level that the others are set against; by default the first of the plan.

    Raises:
        UsageError: the factor does not vary in this study; it is what the plan compares, and the
            reference is not the plan's.
        UnknownNameError: the reference is not among its levels.
    """
    plan = study.plan
    factors = varied_factors(plan)
    if factor not in factors:
        varying = ", ".join(factors) or "nothing"
        raise UsageError(
            f"{factor!r} does not vary in this study, so its levels cannot be compared; "
            f"--compare takes a factor with two or more levels: {varying}"
        )
    levels = factors[factor]
    if reference is not None and reference not in levels:
        raise UnknownNameError("level", reference, levels)
    if factor == plan.analysis.compare:
        if reference not in (None, plan.analysis.reference):
            raise UsageError(
                f"the plan itself compares {factor.replace('_', ' ')}, against "
                f"{plan.analysis.reference}; choose another reference at the top of its page"
            )
        return study
    named = plan.analysis.compare == "norm"
    names = _other_names(plan) if named else {}
    seen = _comparing(_with_own_names(plan, names), factor, reference or levels[0])
    return replace(
        study,
        plan=seen,
        runs=_regrouped(study.runs, factor, names),
        tuning_results=_tuning(study.tuning_results, plan, seen),
        planned_compare=plan.analysis.compare,
    )


def _comparing(plan: StudyPlan, factor: str, reference: str) -> StudyPlan:
    analysis = plan.analysis.model_copy(update={"compare": factor, "reference": reference})
    return plan.model_copy(update={"analysis": analysis})


def _other_names(plan: StudyPlan) -> dict[str, str]:
    """Arm → norm, of the norms that the plan calls by another name ("bn as twin")."""
    texts = [split_name(text) for factors in plan.factors for text in factors.norm]
    return {name: norm for norm, name in texts if name}


def _with_own_names(plan: StudyPlan, names: Mapping[str, str]) -> StudyPlan:
    """The plan in which a renamed norm is a norm of its own, as two twins share their norm."""
    if not names:
        return plan
    factors = tuple(
        one.model_copy(
            update={"norm": tuple(name or norm for norm, name in map(split_name, one.norm))}
        )
        for one in plan.factors
    )
    exclude = tuple(_with_twins(rule, names) for rule in plan.exclude)
    return plan.model_copy(update={"factors": factors, "exclude": exclude})


def _with_twins(rule: Exclusion, names: Mapping[str, str]) -> Exclusion:
    twins = tuple(name for name, norm in names.items() if norm in rule.norm)
    return rule.model_copy(update={"norm": (*rule.norm, *twins)})


def _regrouped(
    runs: Sequence[RunRecord], factor: str, names: Mapping[str, str]
) -> tuple[RunRecord, ...]:
    """The runs under their new arms; of those that differ in the block alone one is worked out."""
    known: dict[tuple[str, str], RunSpec] = {}
    for run in runs:
        spec = run.spec
        if spec.around_block not in known:
            changed = {"arm": arm_of_run(spec, factor)}
            if spec.arm in names:
                changed["norm"] = spec.arm
            known[spec.around_block] = spec.model_copy(update=changed)
    return tuple(
        replace(run, spec=known[run.spec.around_block].in_block(run.spec.block)) for run in runs
    )


def _tuning(
    results: TuningResults | None, plan: StudyPlan, seen: StudyPlan
) -> TuningResults | None:
    """The account of the tuning under the new names; what no cell of the plan knows is left out."""
    if results is None:
        return None
    there = {
        (Setting.of_cell(before, plan).label, arm_of(before, plan)): _place(after, seen)
        for before, after in zip(cells(plan), cells(seen), strict=True)
    }
    arms = tuple(
        entry.model_copy(update={"setting": place[0], "arm": place[1]})
        for entry in results.arms
        if (place := there.get((entry.setting, entry.arm))) is not None
    )
    return results.model_copy(update={"arms": arms})


def _place(cell: Cell, plan: StudyPlan) -> tuple[str, str]:
    return Setting.of_cell(cell, plan).label, arm_of(cell, plan)
