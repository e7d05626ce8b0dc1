"""The settings of a study and the arms in each."""

from __future__ import annotations

from collections.abc import Iterable

from normlab.records.cells import Setting as Setting
from normlab.records.cells import arm_of, cells
from normlab.records.cells import setting_finder as setting_finder
from normlab.records.plan import StudyPlan
from normlab.records.run import RunSpec


def planned_arms(plan: StudyPlan) -> dict[Setting, tuple[str, ...]]:
    """The settings of the plan in its order, each with its arms in the order of the plan.

    Two factor tables may meet in one setting; its arms are then those of both, each once.
    """
    arms: dict[Setting, dict[str, None]] = {}
    for cell in cells(plan):
        arms.setdefault(Setting.of_cell(cell, plan), {}).setdefault(arm_of(cell, plan))
    return {setting: tuple(names) for setting, names in arms.items()}


def arms_of(plan: StudyPlan, specs: Iterable[RunSpec]) -> dict[Setting, tuple[str, ...]]:
    """The planned settings and arms, then those that only the records know, sorted by name."""
    arms = {setting: dict.fromkeys(names) for setting, names in planned_arms(plan).items()}
    setting_of = setting_finder(plan)
    found = {(setting_of(spec), spec.arm) for spec in specs}
    for setting, arm in sorted(found, key=lambda pair: (str(pair[0]), pair[1])):
        arms.setdefault(setting, {}).setdefault(arm)
    return {setting: tuple(names) for setting, names in arms.items()}
