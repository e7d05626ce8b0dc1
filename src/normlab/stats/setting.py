"""A setting is everything that the factors vary beside the arm; arms are compared inside one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from normlab.records.plan import StudyPlan
from normlab.records.schema import RunSpec


@dataclass(frozen=True)
class Setting:
    """The levels that are not the arm.

    >>> print(Setting("sgd", 0.1, 32))
    sgd, learning rate 0.1, batch 32
    """

    optimizer: str
    learning_rate: float
    batch_size: int

    @classmethod
    def of(cls, spec: RunSpec) -> Setting:
        """The setting in which a run was made."""
        return cls(spec.optimizer.name, spec.optimizer.learning_rate, spec.batch_size)

    @property
    def label(self) -> str:
        """Readable, for headings and sentences."""
        return f"{self.optimizer}, learning rate {self.learning_rate:g}, batch {self.batch_size}"

    @property
    def slug(self) -> str:
        """Only portable characters, for file names and page anchors."""
        text = f"{self.optimizer}-lr{self.learning_rate:g}-batch{self.batch_size}"
        return re.sub(r"[^A-Za-z0-9.-]+", "-", text)

    def __str__(self) -> str:
        return self.label


def planned_arms(plan: StudyPlan) -> dict[Setting, tuple[str, ...]]:
    """The settings of the plan in its order, each with its arms in the order of the plan.

    Two factor tables may meet in one setting; its arms are then those of both, each once.
    """
    arms: dict[Setting, dict[str, None]] = {}
    for factors in plan.factors:
        for optimizer in factors.optimizer:
            for learning_rate in factors.learning_rate:
                for batch_size in factors.batch_size:
                    setting = Setting(optimizer, learning_rate, batch_size)
                    arms.setdefault(setting, {}).update(dict.fromkeys(factors.norm))
    return {setting: tuple(names) for setting, names in arms.items()}


def arms_of(plan: StudyPlan, specs: Iterable[RunSpec]) -> dict[Setting, tuple[str, ...]]:
    """The planned settings and arms, then those that only the records know, sorted by name."""
    arms = {setting: dict.fromkeys(names) for setting, names in planned_arms(plan).items()}
    found = {(Setting.of(spec), spec.arm) for spec in specs}
    for setting, arm in sorted(found, key=lambda pair: (str(pair[0]), pair[1])):
        arms.setdefault(setting, {}).setdefault(arm)
    return {setting: tuple(names) for setting, names in arms.items()}
