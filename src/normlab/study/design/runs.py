"""From a plan to its runs: a pure function; no torch, since a study's status is asked often.

Every *cell* (one combination of factor levels) is run once in every *block*, with the same split,
initial weights, order and augmentation. Runs are ordered block by block, so that a study that is
cut off anywhere is still balanced.
"""

from __future__ import annotations

import math
from typing import Any

from pydantic import ValidationError

from normlab.data.augment.policy import in_one_pass, operations
from normlab.errors import PlanError, UnknownNameError, UsageError, first_fault
from normlab.records.cells import Cell, Setting, arm_of, cells
from normlab.records.files import no_collection
from normlab.records.plan import Frozenness, StudyPlan, TrainingPlan
from normlab.records.run import DataSpec, OptimizerSpec, RunSpec, ScheduleSpec
from normlab.records.tuning_results import Levels, TuningResults


def plan_runs(plan: StudyPlan, tuning_results: TuningResults | None = None) -> list[RunSpec]:
    """All runs of a frozen plan, block by block.

    Where a block is not tuned yet, parameters are those in the middle of their ranges: good for
    what depends on the number and kind of runs alone, such as their cost.
    """
    planned = cells(plan)
    if plan.tuning is not None and plan.tuning.scope == "block":
        return [
            run_spec(plan, cell, block, levels_of(plan, cell, tuning_results, block))
            for block in range(plan.blocks)
            for cell in planned
        ]
    first = [run_spec(plan, cell, 0, levels_of(plan, cell, tuning_results, 0)) for cell in planned]
    with no_collection():
        return [spec.in_block(block) for block in range(plan.blocks) for spec in first]


def run_spec(plan: StudyPlan, cell: Cell, block: int, levels: Levels | None = None) -> RunSpec:
    """The run of one cell in one block; `levels` are those of tuned parameters.

    Raises:
        PlanError: the plan is not frozen, or has a value that no run can have.
        UnknownNameError: there is no such optimizer, schedule or augmentation.
    """
    if plan.frozen is None:
        raise PlanError("this plan is not bound to data yet; start it with: normlab run STUDY.toml")
    try:
        return _run_spec(plan, plan.frozen, cell, block, levels or {})
    except ValidationError as error:
        cause = error.errors()[0].get("ctx", {}).get("error")
        if isinstance(cause, (UnknownNameError, UsageError)):
            raise cause from None
        raise PlanError(first_fault(error)) from None


def levels_of(
    plan: StudyPlan, cell: Cell, tuning_results: TuningResults | None, block: int
) -> Levels:
    """The tuned parameters of a cell in a block; before they are known, the middle of their ranges.

    Raises:
        KeyError: the study's one tuning knows nothing of the cell.
    """
    if plan.tuning is None:
        return {}
    if tuning_results is not None:
        found = tuning_results.find(Setting.of_cell(cell, plan).label, arm_of(cell, plan), block)
        if found is not None:
            return found.chosen
        if plan.tuning.scope == "study":
            raise KeyError(f"{arm_of(cell, plan)} was not tuned")
    return {name: math.sqrt(low * high) for name, (low, high) in plan.tuning.ranges.items()}


def _run_spec(
    plan: StudyPlan, frozen: Frozenness, cell: Cell, block: int, levels: Levels
) -> RunSpec:
    changed: dict[str, Any] = dict(cell.training)
    if "weight_decay" in levels:
        changed["weight_decay"] = levels["weight_decay"]
    training = plan.training
    if changed:
        training = TrainingPlan.model_validate({**training.model_dump(), **changed})
    by_second = training.augmentation_method == 2 and in_one_pass(operations(training.augmentation))
    return RunSpec(
        arm=arm_of(cell, plan),
        block=block,
        seed=plan.seed,
        data=DataSpec(
            fingerprint=frozen.fingerprint,
            classes=frozen.classes,
            image_size=plan.data.image_size,
            resize=plan.data.resize,
            test_fraction=plan.data.test_fraction,
            validation_fraction=plan.data.validation_fraction,
            groups=frozen.groups,
        ),
        network=training.network,
        norm=cell.norm,
        optimizer=OptimizerSpec(
            name=cell.optimizer,
            learning_rate=levels.get("learning_rate", cell.learning_rate),
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
        accumulate=training.accumulate,
        ema=training.ema,
        precise_statistics=training.precise_statistics,
        augmentation=training.augmentation,
        augmentation_method=2 if by_second else None,
        precision=training.precision,
        ranks=training.ranks,
        norm_batch=training.norm_batch if training.ranks > 1 else None,
    )
