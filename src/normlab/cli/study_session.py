"""What compare, run and train have in common: data, plan, calibration, question, runs, answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from normlab.cli.confirm import confirm
from normlab.cli.first_look import LOOK, write_look
from normlab.cli.plan_lines import plan_lines
from normlab.cli.progress import choose_executor, run_with_progress
from normlab.cli.scan_progress import load_with_progress
from normlab.cli.summary import print_analysis, print_paths, print_words
from normlab.data.dataset import Dataset
from normlab.data.load import BlockData, block_data
from normlab.errors import PlanError
from normlab.norms.fused.cpu.memory import keep_freed_memory
from normlab.plugins import use_plugins
from normlab.records.plan import StudyPlan, TuningPlan
from normlab.report.page.build import build_report
from normlab.stats.data.reading import read_study
from normlab.stats.inference.looks.boundaries import every_block
from normlab.stats.inference.looks.state import EXPLORATORY_BELOW
from normlab.stats.summary.analysis import analyse_study
from normlab.study.budget import (
    Choice,
    Cost,
    CostKey,
    cost_key,
    fit_to_budget,
    format_seconds,
    measure_costs,
    parse_duration,
    run_seconds,
)
from normlab.study.check import check_folder, check_plan
from normlab.study.design import freeze, plan_runs, with_methods
from normlab.study.study import Study
from normlab.text import count
from normlab.train.step_mode import StepMode

DEFAULT_BUDGET = "1h"
MODEST_TUNING = TuningPlan(points=4)
"""What `compare` gives every arm by itself: four rates for a third of the epochs, two in full."""


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
    tuning_if_it_fits: bool = False
    """Whether every arm tries some rates of its own first, where the budget has room for it."""


def conduct(request: StudyRequest, *, plan_only: bool = False) -> None:
    """Plan the study, ask, run it and print the answer; or write the plan and stop there."""
    start = time.monotonic()
    console = Console()
    seconds = None if request.budget is None else parse_duration(request.budget)
    deadline = None if seconds is None else start + seconds
    use_plugins(request.plan.plugins, request.folder, request.plan.hash, trusted=True)
    check_plan(request.plan)
    choose_executor(request.executor, request.jobs)
    if (request.folder / "study.toml").exists():
        plan = _as_before(request)
        dataset, found = load_with_progress(plan.data, console, strict=request.strict)
        study = Study.planned(request.folder, plan, dataset, found)
        kept = "; its size stays, --budget says how long to go on" if request.budget else ""
        _say(console, f"Go on    {request.folder} (begun before{kept})")
    else:
        check_folder(request.folder, request.plan.data.source)
        dataset, found = load_with_progress(request.plan.data, console, strict=request.strict)
        plan = _sized(request, dataset, console)
        if plan.data.image_size != request.plan.data.image_size:
            dataset, found = load_with_progress(plan.data, console, strict=request.strict)
        study = Study.planned(request.folder, plan, dataset, found)
    if plan_only:
        print_plan(study.plan, console)
        request.folder.mkdir(parents=True, exist_ok=True)
        study.save()
        _say(console, f"Written  {study.path}; start it with: normlab run {request.folder}")
        return
    continue_study(
        study,
        dataset,
        console,
        device=request.device,
        yes=request.yes,
        deadline=deadline,
        jobs=request.jobs,
        executor=request.executor,
        compiled=request.compiled,
    )


def continue_study(
    study: Study,
    dataset: Dataset,
    console: Console,
    *,
    device: str,
    yes: bool,
    deadline: float | None = None,
    jobs: str = "1",
    executor: str | None = None,
    compiled: bool = False,
) -> None:
    """Run what is missing, then print tables, verdict and paths.

    The study is written once the work is known to be possible and agreed to. No run is started that
    would end after the deadline (in seconds of time.monotonic).
    """
    choose_executor(executor, jobs)
    steps = StepMode(compiled=compiled)
    missing = study.missing()
    print_plan(study.plan, console)
    ended = "finished"
    if missing:
        costs, data = _calibrate(study.plan, dataset, device, steps, console)
        expected = {spec.id: run_seconds(spec, costs[cost_key(spec)], data) for spec in missing}
        total = sum(expected.values())
        _say(console, f"         {count(len(missing), 'run')} to do, about {format_seconds(total)}")
        left = total if deadline is None else min(total, max(deadline - time.monotonic(), 0.0))
        confirm(left, yes=yes)
        study.save()
        if study.data is not None and not (study.folder / LOOK).exists():
            write_look(study.folder, dataset, study.data, console)
        ended = run_with_progress(
            study, dataset, expected, console,
            train_images=data.sizes[0], device=device, deadline=deadline,
            jobs=jobs, executor=executor, steps=steps,
        )  # fmt: skip
    else:
        study.save()
    records = read_study(study.folder)
    analysis = analyse_study(records)
    print_analysis(analysis, console, study.folder)
    print_words(records, analysis, console)
    with console.status("drawing the report"):
        page = build_report(study.folder)
    if ended != "finished":
        _say(console, f"Report   {page}")
        in_time = ended != "deadline"
        why = "what was finished is stored" if in_time else "no further run would end in time"
        _say(console, f"Stopped  {why}; go on: normlab run {study.folder}")
        raise typer.Exit(130 if in_time else 0)
    print_paths(page, study.folder, console, analysis)
    broken = [
        run
        for run in records.runs
        if run.outcome and run.outcome.status in ("failed", "out_of_memory")
    ]
    if broken:
        _say(console, f"Broken   {count(len(broken), 'run')}; why: normlab status {study.folder}")
        raise typer.Exit(1)


def print_plan(plan: StudyPlan, console: Console) -> None:
    """What is going to be run, how it will be judged, and what it can hope to see."""
    for line in plan_lines(plan):
        _say(console, line)


def _as_before(request: StudyRequest) -> StudyPlan:
    """The request's plan with the size that an earlier budget chose for this folder."""
    before = Study.open(request.folder).plan
    chosen = request.chosen
    rules = {
        "looks": request.plan.analysis.looks or before.analysis.looks,
        "method": before.analysis.method,
    }
    if before.analysis.margin_share is None:  # begun before margins followed the error
        rules["margin_share"] = None
    tuning = before.tuning if request.tuning_if_it_fits else request.plan.tuning
    return request.plan.model_copy(
        update={
            "blocks": max(chosen.get("blocks", 0), before.blocks),
            "tuning": tuning,
            "analysis": request.plan.analysis.model_copy(update=rules),
            "data": request.plan.data.model_copy(
                update={"image_size": chosen.get("image_size", before.data.image_size)}
            ),
            "training": request.plan.training.model_copy(
                update={"epochs": chosen.get("epochs", before.training.epochs)}
            ),
        }
    )


def _calibrate(
    plan: StudyPlan, dataset: Dataset, device: str, steps: StepMode, console: Console
) -> tuple[dict[CostKey, Cost], BlockData]:
    """Measured costs of every kind of run of the plan, and the first block's data."""
    keep_freed_memory()  # not before: looking for copies frees arrays that nobody needs again
    specs = plan_runs(plan.model_copy(update={"blocks": 1}))
    data = block_data(dataset, specs[0], device)
    with console.status("measuring a few training steps of every arm"):
        return measure_costs(specs, dataset, device, steps), data


def _sized(request: StudyRequest, dataset: Dataset, console: Console) -> StudyPlan:
    """The plan with blocks, epochs and size as the user or the budget chose them."""
    plan = with_methods(request.plan, None)
    if {"blocks", "epochs"} <= request.chosen.keys() and request.budget is None:
        return _with_looks(plan)
    seconds = parse_duration(request.budget or DEFAULT_BUDGET)
    manifest = dataset.manifest
    frozen = freeze(plan, manifest.fingerprint, manifest.classes, manifest.groups_hash)
    costs, data = _calibrate(
        frozen, dataset, request.device, StepMode(compiled=request.compiled), console
    )
    choice = fit_to_budget(frozen, costs, data, seconds, fixed=request.chosen)
    if request.tuning_if_it_fits:
        plan, choice = _tuned_if_it_fits(plan, frozen, choice, costs, data, seconds, request.chosen)
    sized = plan.model_copy(
        update={
            "blocks": choice.blocks,
            "data": plan.data.model_copy(update={"image_size": choice.image_size}),
            "training": plan.training.model_copy(update={"epochs": choice.epochs}),
        }
    )
    _say(
        console,
        f"Budget   {format_seconds(seconds)} allows {count(choice.blocks, 'block')} of "
        f"{count(choice.epochs, 'epoch')} at {choice.image_size} px "
        f"(about {format_seconds(choice.seconds)})",
    )
    return _with_looks(sized)


def _tuned_if_it_fits(
    plan: StudyPlan,
    frozen: StudyPlan,
    choice: Choice,
    costs: Mapping[CostKey, Cost],
    data: BlockData,
    seconds: float,
    chosen: Mapping[str, int],
) -> tuple[StudyPlan, Choice]:
    """The plan with its own rate for every arm, if five blocks of ten epochs fit beside the search;
    else as it is: a shared rate, which the verdict names.
    """
    with_tuning = {"tuning": MODEST_TUNING}
    try:
        tuned = fit_to_budget(
            frozen.model_copy(update=with_tuning), costs, data, seconds, fixed=chosen
        )
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


def _say(console: Console, line: str) -> None:
    """A line that is never wrapped, so that its paths and commands can be copied."""
    console.print(line, soft_wrap=True, markup=False, highlight=False)
