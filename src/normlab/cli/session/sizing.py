"""The size of a study: what its steps cost, and what a time allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from normlab.cli.screen.console import say_facts
from normlab.cli.screen.probing import make_probe
from normlab.data.dataset import Dataset
from normlab.data.load import block_data
from normlab.errors import PlanError
from normlab.memory import available_bytes
from normlab.norms.fused.cpu.memory import keep_freed_memory
from normlab.records.data_report import Probe
from normlab.records.plan import StudyPlan, TuningPlan, write_plan
from normlab.records.run import RunSpec
from normlab.stats.inference.looks.boundaries import every_block
from normlab.stats.inference.looks.state import EXPLORATORY_BELOW
from normlab.study.answers.needs import measure_apart
from normlab.study.budget import (
    Calibration,
    Choice,
    Cost,
    CostKey,
    cost_key,
    fit_to_budget,
    measure_costs,
    parse_duration,
)
from normlab.study.calibration import step_bytes
from normlab.study.design.freeze import freeze, with_methods
from normlab.study.design.runs import plan_runs
from normlab.study.probe import least_epochs
from normlab.study.study import Study
from normlab.text import count, format_bytes, format_seconds
from normlab.train.step_mode import StepMode

DEFAULT_BUDGET = "1h"
MODEST_TUNING = TuningPlan(points=4)
"""What `compare` gives every arm by itself: four rates for a third of the epochs, two in full."""
MEASURING = "measuring a few training steps of every arm"
SAFE_SHARE = 0.5
"""Of the memory that is free: a step that may need more is computed in a process of its own."""


@dataclass(frozen=True)
class StudyRequest:
    """A study that somebody asked for."""

    plan: StudyPlan
    folder: Path
    chosen: Mapping[str, int]
    """What the user fixed among blocks, epochs and image_size; the budget chooses the rest."""
    budget: str | None
    device: str
    strict: bool
    yes: bool
    jobs: str = "1"
    """Runs at once: a number, or auto."""
    executor: str | None = None
    """Who makes the runs; by itself this process, or several where there are several jobs."""
    compiled: bool = False
    """Whether steps go through torch.compile."""
    probing: bool = True
    """Whether one arm is tried for some seconds first: does it learn at all?"""
    live: bool | None = None
    """Whether the page can be looked at while it runs; None: where there is a terminal."""
    tuning_if_it_fits: bool = False
    """Whether every arm tries some rates of its own first, where the budget has room for it."""


def frozen_plan(plan: StudyPlan, dataset: Dataset) -> StudyPlan:
    """The plan bound to these pictures."""
    manifest = dataset.manifest
    return freeze(plan, manifest.fingerprint, manifest.classes, manifest.groups_hash)


def calibrate(
    plan: StudyPlan, dataset: Dataset, device: str, steps: StepMode, console: Console,
    elsewhere: bool = False,
) -> Calibration:  # fmt: skip
    """Costs of every kind of run of a frozen plan, measured if they are made here."""
    keep_freed_memory()  # not before: looking for copies frees arrays that nobody needs again
    specs = plan_runs(plan.model_copy(update={"blocks": 1}))
    data = block_data(dataset, specs[0], "cpu" if elsewhere else device)
    kinds = {cost_key(spec): spec for spec in specs}
    if device == "cpu" and not elsewhere and _may_not_fit(kinds.values(), console):
        return Calibration(_costs_apart(plan, kinds, steps, console), data, is_apart=True)
    with console.status(MEASURING):
        return Calibration(measure_costs(specs, dataset, device, steps, guess=elsewhere), data)


def _may_not_fit(kinds: Iterable[RunSpec], console: Console) -> bool:
    """Whether a step of these may need more memory than this process should risk; said if so."""
    free, most = available_bytes(), max(map(step_bytes, kinds))
    if free is None or most <= SAFE_SHARE * free:
        return False
    facts = f"a step may need {format_bytes(most)}, {format_bytes(free)} are free"
    say_facts(console, "memory", [facts, "it is made in a process of its own, without a probe"])
    return True


def _costs_apart(
    plan: StudyPlan, kinds: Mapping[CostKey, RunSpec], steps: StepMode, console: Console
) -> dict[CostKey, Cost]:
    with TemporaryDirectory(prefix="normlab-") as folder, console.status(MEASURING):
        write_plan(plan, Path(folder) / "study.toml")
        settings = Study.open(folder).job_settings(device="cpu", steps=steps)
        return measure_apart(Path(folder), kinds, settings).costs


def size_study(
    request: StudyRequest, dataset: Dataset, console: Console
) -> tuple[StudyPlan, Probe | None]:
    """The plan with blocks, epochs and size as the user or the budget chose them; and the probe
    that a budget is spent by, which buys learning before blocks.
    """
    plan = with_methods(request.plan, None)
    if {"blocks", "epochs"} <= request.chosen.keys() and request.budget is None:
        return _with_looks(plan), None
    seconds = parse_duration(request.budget or DEFAULT_BUDGET)
    frozen = frozen_plan(plan, dataset)
    steps = StepMode(compiled=request.compiled)
    found = calibrate(frozen, dataset, request.device, steps, console)
    probe = None
    if request.probing:
        probe = make_probe(frozen, dataset, found, seconds, steps, console)
    allowed = partial(
        fit_to_budget,
        costs=found.costs, data=found.data, seconds=seconds, fixed=request.chosen,
        least_epochs=least_epochs(probe),
    )  # fmt: skip
    choice = allowed(frozen)
    if request.tuning_if_it_fits:
        plan, choice = _tuned_if_it_fits(plan, frozen, choice, allowed)
    sized = plan.model_copy(
        update={
            "blocks": choice.blocks,
            "data": plan.data.model_copy(update={"image_size": choice.image_size}),
            "training": plan.training.model_copy(update={"epochs": choice.epochs}),
        }
    )
    size = f"{count(choice.blocks, 'block')} of {count(choice.epochs, 'epoch')}"
    at = f"{size} at {choice.image_size} px"
    say_facts(console, "budget", [f"{format_seconds(seconds)} allows {at}"])
    return _with_looks(sized), probe


def _tuned_if_it_fits(
    plan: StudyPlan,
    frozen: StudyPlan,
    choice: Choice,
    allowed: Callable[[StudyPlan], Choice],
) -> tuple[StudyPlan, Choice]:
    """The plan with its own rate for every arm, if five blocks of ten epochs fit beside the search;
    else as it is: a shared rate, which the verdict names.
    """
    with_tuning = {"tuning": MODEST_TUNING}
    try:
        tuned = allowed(frozen.model_copy(update=with_tuning))
    except PlanError:
        return plan, choice
    enough = tuned.blocks >= 5 and tuned.epochs >= 10 and tuned.image_size == choice.image_size
    return (plan.model_copy(update=with_tuning), tuned) if enough else (plan, choice)


def _with_looks(plan: StudyPlan) -> StudyPlan:
    """Judged by the second method: after every block from the third, where the user named none."""
    looks = plan.analysis.looks
    if not looks and plan.blocks >= EXPLORATORY_BELOW:
        looks = every_block(plan.blocks)
    analysis = plan.analysis.model_copy(update={"looks": looks, "method": 2})
    return plan.model_copy(update={"analysis": analysis})
