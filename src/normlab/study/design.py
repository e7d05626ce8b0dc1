"""From a plan to its runs: pure functions, no file and no network is touched.

A *cell* is one combination of factor levels; a *block* runs every cell once with the same split,
initial weights, order and augmentation. Runs are ordered block by block, so that a study that is
cut off anywhere is still balanced.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import NamedTuple

from pydantic import ValidationError

from normlab._version import __version__
from normlab.errors import PlanError, UnknownNameError, UsageError
from normlab.norms.spec import parse_norm
from normlab.records.plan import Frozenness, StudyPlan, first_fault
from normlab.records.schema import DataSpec, OptimizerSpec, RunSpec, ScheduleSpec


class Cell(NamedTuple):
    """One combination of factor levels."""

    optimizer: str
    learning_rate: float
    batch_size: int
    norm: str


def cells(plan: StudyPlan) -> list[Cell]:
    """The union of the plan's factorials, each cell once; the norm varies fastest."""
    found: dict[Cell, None] = {}
    for factors in plan.factors:
        norms = [str(parse_norm(text)) for text in factors.norm]
        for combination in itertools.product(
            factors.optimizer, factors.learning_rate, factors.batch_size, norms
        ):
            found[Cell(*combination)] = None
    return list(found)


def freeze(
    plan: StudyPlan, fingerprint: str, classes: tuple[str, ...], groups: str = ""
) -> StudyPlan:
    """The plan with its hash and the identity of the data it is to run on.

    Norms are written in their canonical form, so that the arms of the runs are those of the plan.

    Raises:
        PlanError: the reference is not among the arms.
        UnknownNameError: a norm does not exist.
    """
    plan = _with_canonical_norms(plan)
    arms = list(dict.fromkeys(cell.norm for cell in cells(plan)))
    if plan.analysis.reference not in arms:
        raise PlanError(
            f"the reference arm {plan.analysis.reference!r} is not among the norms "
            f"{', '.join(arms)}; add it or set analysis.reference"
        )
    frozen = Frozenness(
        hash=plan.hash,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        normlab=__version__,
        fingerprint=fingerprint,
        classes=classes,
        groups=groups,
    )
    return plan.model_copy(update={"frozen": frozen})


def plan_runs(plan: StudyPlan) -> list[RunSpec]:
    """All runs of a frozen plan, block by block."""
    return [run_spec(plan, cell, block) for block in range(plan.blocks) for cell in cells(plan)]


def run_spec(plan: StudyPlan, cell: Cell, block: int) -> RunSpec:
    """The run of one cell in one block.

    Raises:
        PlanError: the plan is not frozen, or has a value that no run can have.
        UnknownNameError: there is no such optimizer, schedule or augmentation.
    """
    if plan.frozen is None:
        raise PlanError("this plan is not bound to data yet; start it with: normlab run STUDY.toml")
    try:
        return _run_spec(plan, plan.frozen, cell, block)
    except ValidationError as error:
        cause = error.errors()[0].get("ctx", {}).get("error")
        if isinstance(cause, (UnknownNameError, UsageError)):
            raise cause from None
        raise PlanError(first_fault(error)) from None


def _with_canonical_norms(plan: StudyPlan) -> StudyPlan:
    factors = tuple(
        each.model_copy(
            update={"norm": tuple(dict.fromkeys(str(parse_norm(text)) for text in each.norm))}
        )
        for each in plan.factors
    )
    reference = str(parse_norm(plan.analysis.reference))
    analysis = plan.analysis.model_copy(update={"reference": reference})
    return plan.model_copy(update={"factors": factors, "analysis": analysis})


def _run_spec(plan: StudyPlan, frozen: Frozenness, cell: Cell, block: int) -> RunSpec:
    training = plan.training
    return RunSpec(
        arm=cell.norm,
        block=block,
        seed=plan.seed,
        data=DataSpec(
            fingerprint=frozen.fingerprint,
            classes=frozen.classes,
            image_size=plan.data.image_size,
            resize=plan.data.resize,
            evaluation_fraction=plan.data.evaluation_fraction,
            selection_fraction=plan.data.selection_fraction,
            groups=frozen.groups,
        ),
        network=training.network,
        norm=cell.norm,
        optimizer=OptimizerSpec(
            name=cell.optimizer,
            learning_rate=cell.learning_rate,
            momentum=training.momentum,
            nesterov=training.nesterov,
            weight_decay=training.weight_decay,
            decay_norm_parameters=training.decay_norm_parameters,
        ),
        schedule=ScheduleSpec(
            name=training.schedule,
            warmup_epochs=training.warmup_epochs,
            step_epochs=training.step_epochs,
            milestones=training.milestones,
            factor=training.factor,
        ),
        batch_size=cell.batch_size,
        epochs=training.epochs,
        patience=training.patience,
        label_smoothing=training.label_smoothing,
        clip_gradient_norm=training.clip_gradient_norm,
        augmentation=training.augmentation,
        precision=training.precision,
    )
