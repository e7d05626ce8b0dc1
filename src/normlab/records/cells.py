"""What a plan compares, and where: its cells, their arms and their settings.

A *cell* is one combination of factor levels. One factor is compared: its levels are the *arms*. All
the others together are the *setting*; arms are compared inside one.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from normlab.records.network import OWN_TRAINING
from normlab.records.plan import Exclusion, StudyPlan
from normlab.records.run import NetworkSpec, RunSpec

_IN_SPEC = {
    "optimizer": "optimizer.name",
    "learning_rate": "optimizer.learning_rate",
    "schedule": "schedule.name",
    **{key: f"schedule.{key}" for key in ("warmup_epochs", "step_epochs", "milestones", "factor")},
    **{
        key: f"optimizer.{key}"
        for key in ("momentum", "nesterov", "weight_decay", "decay_norm_parameters")
    },
}
"""Where a RunSpec has a factor or a key of [training]; the others have the same name."""


class Cell(NamedTuple):
    """One combination of factor levels."""

    optimizer: str
    learning_rate: float | None
    """None where every arm has its own, found by tuning."""
    batch_size: int
    norm: str
    name: str = ""
    """The norm's other name, if it has one."""
    training: tuple[tuple[str, Any], ...] = ()
    """Keys of [training] that vary, with this cell's values."""


@dataclass(frozen=True)
class Setting:
    """The levels that are not the arm; what is compared, or tuned for each arm, is None.

    >>> print(Setting("sgd", 0.1, 32))
    sgd, learning rate 0.1, batch 32
    """

    optimizer: str | None
    learning_rate: float | None
    batch_size: int | None
    norm: str | None = None
    other: tuple[tuple[str, str], ...] = ()
    """Further factors and their levels, as text."""

    @classmethod
    def of(cls, spec: RunSpec, plan: StudyPlan) -> Setting:
        """The setting in which a run was made."""
        return cls._without_arm(
            plan,
            spec.optimizer.name,
            spec.optimizer.learning_rate,
            spec.batch_size,
            spec.norm,
            {key: _spec_value(spec, key) for key in varied(plan)},
        )

    @classmethod
    def of_cell(cls, cell: Cell, plan: StudyPlan) -> Setting:
        """The setting of a planned cell."""
        shared = {key: getattr(plan.training, key) for key in varied(plan)}
        return cls._without_arm(
            plan,
            cell.optimizer,
            cell.learning_rate,
            cell.batch_size,
            cell.norm,
            shared | dict(cell.training),
        )

    @classmethod
    def _without_arm(
        cls,
        plan: StudyPlan,
        optimizer: str,
        learning_rate: float | None,
        batch_size: int,
        norm: str,
        other: dict[str, Any],
    ) -> Setting:
        compared = plan.analysis.compare
        if plan.training.network.name == OWN_TRAINING:
            named = str(plan.training.network.options["training"]).rpartition(".")[2]
            return cls(None, None, None, other=(("training", named),))
        fixed_rate = compared != "learning_rate" and "learning_rate" not in tuned(plan)
        return cls(
            optimizer=None if compared == "optimizer" else optimizer,
            learning_rate=learning_rate if fixed_rate else None,
            batch_size=None if compared == "batch_size" else batch_size,
            norm=None if compared == "norm" else norm,
            other=tuple((key, level_text(v)) for key, v in other.items() if key != compared),
        )

    @property
    def label(self) -> str:
        """Readable, for headings and sentences."""
        parts = [self.norm, self.optimizer]
        if self.learning_rate is not None:
            parts.append(f"learning rate {self.learning_rate:g}")
        if self.batch_size is not None:
            parts.append(f"batch {self.batch_size}")
        parts += [f"{key.replace('_', ' ')} {level}" for key, level in self.other]
        return ", ".join(part for part in parts if part)

    @property
    def slug(self) -> str:
        """Only portable characters, for file names and page anchors."""
        parts = [self.norm, self.optimizer]
        if self.learning_rate is not None:
            parts.append(f"lr{self.learning_rate:g}")
        if self.batch_size is not None:
            parts.append(f"batch{self.batch_size}")
        parts += [f"{key}-{level}" for key, level in self.other]
        return re.sub(r"[^A-Za-z0-9.-]+", "-", "-".join(part for part in parts if part))

    def __str__(self) -> str:
        return self.label


def setting_finder(plan: StudyPlan) -> Callable[[RunSpec], Setting]:
    """`Setting.of` for many runs: worked out once for all that differ in the block alone."""
    known: dict[tuple[str, str], Setting] = {}

    def find(spec: RunSpec) -> Setting:
        found = known.get(spec.around_block)
        if found is None:
            found = known[spec.around_block] = Setting.of(spec, plan)
        return found

    return find


def cells(plan: StudyPlan) -> list[Cell]:
    """The union of the plan's factorials without what it excludes; the norm varies fastest."""
    return [cell for cell in _factorials(plan) if excluded(plan, cell) is None]


def excluded(plan: StudyPlan, cell: Cell) -> Exclusion | None:
    """The exclusion that leaves a cell out, or None."""
    return next((rule for rule in plan.exclude if _applies(rule, cell)), None)


def excluded_cells(plan: StudyPlan) -> list[tuple[Cell, str]]:
    """The cells that are left out, each with the reason."""
    found = ((cell, excluded(plan, cell)) for cell in _factorials(plan))
    return [(cell, rule.reason) for cell, rule in found if rule is not None]


def arm_of(cell: Cell, plan: StudyPlan) -> str:
    """The name under which a cell is compared.

    A norm goes by its own (or other) name; the levels of another factor by the factor and level,
    such as "learning rate 0.1", "batch 8", "adam".
    """
    compared = plan.analysis.compare
    if compared == "norm":
        return cell.name or cell.norm
    if compared == "optimizer":
        return cell.optimizer
    if compared == "batch_size":
        return f"batch {cell.batch_size}"
    if compared == "learning_rate":
        return f"learning rate {cell.learning_rate:g}"
    value = dict(cell.training).get(compared, getattr(plan.training, compared))
    return f"{compared.replace('_', ' ')} {level_text(value)}"


def arm_of_run(spec: RunSpec, compared: str) -> str:
    """The name that a run has where the levels of a factor are the arms; see `arm_of`."""
    if compared == "norm":
        return spec.norm
    if compared == "optimizer":
        return spec.optimizer.name
    if compared == "batch_size":
        return f"batch {spec.batch_size}"
    if compared == "learning_rate":
        return f"learning rate {spec.optimizer.learning_rate:g}"
    return f"{compared.replace('_', ' ')} {level_text(_spec_value(spec, compared))}"


def tuned(plan: StudyPlan) -> tuple[str, ...]:
    """What every arm finds for itself: learning_rate, weight_decay, both or nothing."""
    return () if plan.tuning is None else tuple(plan.tuning.ranges)


def varied(plan: StudyPlan) -> tuple[str, ...]:
    """The keys of [training] that are factors, in the order in which the plan names them."""
    return tuple(dict.fromkeys(key for factors in plan.factors for key in factors.training))


def spec_path(factor: str) -> str:
    """Where a RunSpec has the level of a factor.

    >>> spec_path("learning_rate"), spec_path("norm")
    ('optimizer.learning_rate', 'norm')
    """
    return _IN_SPEC.get(factor, factor)


def split_name(text: str) -> tuple[str, str]:
    """Norm and name of a level of the norm.

    >>> split_name("bn as twin"), split_name("bn")
    (('bn', 'twin'), ('bn', ''))
    """
    norm, _, name = text.partition(" as ")
    return norm.strip(), name.strip()


def level_text(value: Any) -> str:
    """A level as it is printed.

    >>> level_text(5e-4), level_text("light"), level_text(NetworkSpec(name="resnet18"))
    ('0.0005', 'light', 'resnet18')
    """
    if isinstance(value, dict):
        value = NetworkSpec.model_validate(value)
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)


def _factorials(plan: StudyPlan) -> list[Cell]:
    found: dict[str, Cell] = {}
    for factors in plan.factors:
        rates = (None,) if "learning_rate" in tuned(plan) else factors.learning_rate
        for training, optimizer, rate, batch_size, text in itertools.product(
            _training_levels(factors.training),
            factors.optimizer,
            rates,
            factors.batch_size,
            factors.norm,
        ):
            cell = Cell(optimizer, rate, batch_size, *split_name(text), training)
            found.setdefault(str(cell), cell)
    return list(found.values())


def _training_levels(
    levels: dict[str, tuple[Any, ...]],
) -> Iterator[tuple[tuple[str, Any], ...]]:
    for combination in itertools.product(*levels.values()):
        yield tuple(zip(levels, combination, strict=True))


def _applies(rule: Exclusion, cell: Cell) -> bool:
    return (
        (not rule.norm or cell.norm in rule.norm or cell.name in rule.norm)
        and (not rule.optimizer or cell.optimizer in rule.optimizer)
        and (not rule.learning_rate or cell.learning_rate in rule.learning_rate)
        and (not rule.batch_size or cell.batch_size in rule.batch_size)
    )


def _spec_value(spec: RunSpec, key: str) -> Any:
    value: Any = spec
    for name in spec_path(key).split("."):
        value = getattr(value, name)
    return value
