"""What compare, run and train have in common: data, plan, pilot, question, runs, answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from normlab.cli.confirm import confirm
from normlab.cli.progress import run_study
from normlab.cli.scan_progress import load_with_progress
from normlab.cli.summary import count, print_analysis, print_paths
from normlab.data.dataset import Dataset
from normlab.data.load import BlockData, block_data
from normlab.norms.kernels.memory import keep_freed_memory
from normlab.records.plan import StudyPlan
from normlab.report.build import build_report
from normlab.stats.analysis import analyse
from normlab.study.budget import (
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
from normlab.study.design import cells, freeze, plan_runs
from normlab.study.study import Study

DEFAULT_BUDGET = "1h"


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


def conduct(request: StudyRequest) -> None:
    """Plan the study, ask, run it and print the answer."""
    console = Console()
    if request.budget is not None:
        parse_duration(request.budget)
    check_plan(request.plan)
    if (request.folder / "study.toml").exists():
        plan = _as_before(request)
        dataset = load_with_progress(plan.data, console, strict=request.strict)
        study = Study.planned(request.folder, plan, dataset)
        kept = "; its size stays, --budget has no say" if request.budget else ""
        _say(console, f"Go on    {request.folder} (begun before{kept})")
        continue_study(study, dataset, console, device=request.device, yes=request.yes)
        return
    check_folder(request.folder, request.plan.data.source)
    dataset = load_with_progress(request.plan.data, console, strict=request.strict)
    plan = _sized(request, dataset, console)
    if plan.data.image_size != request.plan.data.image_size:
        dataset = load_with_progress(plan.data, console, strict=request.strict)
    study = Study.planned(request.folder, plan, dataset)
    continue_study(study, dataset, console, device=request.device, yes=request.yes)


def continue_study(
    study: Study, dataset: Dataset, console: Console, *, device: str, yes: bool
) -> None:
    """Run what is missing, then print tables, verdict and paths.

    The study is written once the work is known to be possible and agreed to.
    """
    missing = study.missing()
    print_plan(study.plan, console)
    finished = True
    if missing:
        costs, data = _pilot(study.plan, dataset, device, console)
        expected = {spec.id: run_seconds(spec, costs[cost_key(spec)], data) for spec in missing}
        total = sum(expected.values())
        _say(console, f"         {count(len(missing), 'run')} to do, about {format_seconds(total)}")
        confirm(total, yes=yes)
        study.save()
        finished = run_study(
            study, dataset, expected, console, train_images=data.sizes[0], device=device
        )
    else:
        study.save()
    records = study.records()
    print_analysis(analyse(study.plan, records), console)
    with console.status("drawing the report"):
        page = build_report(study.folder)
    if not finished:
        _say(console, f"Report   {page}")
        _say(console, f"Stopped  what was finished is stored; go on: normlab run {study.folder}")
        raise typer.Exit(130)
    print_paths(page, study.folder, console, blocks=study.plan.blocks)
    broken = [r for r in records if r.outcome and r.outcome.status in ("failed", "out_of_memory")]
    if broken:
        _say(console, f"Broken   {count(len(broken), 'run')}; why: normlab status {study.folder}")
        raise typer.Exit(1)


def print_plan(plan: StudyPlan, console: Console) -> None:
    """What is going to be run, in one line."""
    rows = cells(plan)
    arms = " ".join(dict.fromkeys(cell.norm for cell in rows))
    training = plan.training
    settings = len({cell._replace(norm="") for cell in rows})
    several = f" in {count(settings, 'setting')}" if settings > 1 else ""
    _say(
        console,
        f"Plan     {arms}{several} × {count(plan.blocks, 'block')} = "
        f"{count(len(rows) * plan.blocks, 'run')}, "
        f"{training.network.name} at {plan.data.image_size} px, {count(training.epochs, 'epoch')}",
    )


def _as_before(request: StudyRequest) -> StudyPlan:
    """The request's plan with the size that an earlier budget chose for this folder."""
    before = Study.open(request.folder).plan
    chosen = request.chosen
    return request.plan.model_copy(
        update={
            "blocks": chosen.get("blocks", before.blocks),
            "data": request.plan.data.model_copy(
                update={"image_size": chosen.get("image_size", before.data.image_size)}
            ),
            "training": request.plan.training.model_copy(
                update={"epochs": chosen.get("epochs", before.training.epochs)}
            ),
        }
    )


def _pilot(
    plan: StudyPlan, dataset: Dataset, device: str, console: Console
) -> tuple[dict[CostKey, Cost], BlockData]:
    """Measured costs of every kind of run of the plan, and the first block's data."""
    keep_freed_memory()  # not before: looking for copies frees arrays that nobody needs again
    specs = plan_runs(plan.model_copy(update={"blocks": 1}))
    data = block_data(dataset, specs[0], device)
    with console.status("measuring a few training steps of every arm"):
        return measure_costs(specs, dataset, device), data


def _sized(request: StudyRequest, dataset: Dataset, console: Console) -> StudyPlan:
    """The plan with blocks, epochs and size as the user or the budget chose them."""
    plan = request.plan
    if {"blocks", "epochs"} <= request.chosen.keys() and request.budget is None:
        return plan
    seconds = parse_duration(request.budget or DEFAULT_BUDGET)
    manifest = dataset.manifest
    frozen = freeze(plan, manifest.fingerprint, manifest.classes, manifest.groups_hash)
    costs, data = _pilot(frozen, dataset, request.device, console)
    choice = fit_to_budget(frozen, costs, data, seconds, fixed=request.chosen)
    return plan.model_copy(
        update={
            "blocks": choice.blocks,
            "data": plan.data.model_copy(update={"image_size": choice.image_size}),
            "training": plan.training.model_copy(update={"epochs": choice.epochs}),
        }
    )


def _say(console: Console, line: str) -> None:
    """A line that is never wrapped, so that its paths and commands can be copied."""
    console.print(line, soft_wrap=True, markup=False, highlight=False)
