"""From a plan to its runs: pure functions, no file and no network is touched.

A *cell* is one combination of factor levels; a *block* runs every cell once with the same split,
initial weights, order and augmentation. Runs are ordered block by block, so that a study that is
cut off anywhere is still balanced.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import NamedTuple

from normlab._version import __version__
from normlab.errors import PlanError
from normlab.norms.spec import parse_norm
from normlab.records.plan import Frozenness, StudyPlan
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


def freeze(plan: StudyPlan, fingerprint: str, classes: tuple[str, ...]) -> StudyPlan:
    """The plan with its hash and the identity of the data it is to run on.

    Raises:
        PlanError: the reference is not among the arms.
        UnknownNameError: a norm does not exist.
    """
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
    )
    return plan.model_copy(update={"frozen": frozen})


def plan_runs(plan: StudyPlan) -> list[RunSpec]:
    """All runs of a frozen plan, block by block."""
    return [run_spec(plan, cell, block) for block in range(plan.blocks) for cell in cells(plan)]


def run_spec(plan: StudyPlan, cell: Cell, block: int) -> RunSpec:
    """The run of one cell in one block."""
    if plan.frozen is None:
        raise PlanError("this plan is not bound to data yet; start it with: normlab run STUDY.toml")
    training = plan.training
    return RunSpec(
        arm=cell.norm,
        block=block,
        seed=plan.seed,
        data=DataSpec(
            fingerprint=plan.frozen.fingerprint,
            classes=plan.frozen.classes,
            image_size=plan.data.image_size,
            resize=plan.data.resize,
            evaluation_fraction=plan.data.evaluation_fraction,
            selection_fraction=plan.data.selection_fraction,
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
