"""What compare, run and train have in common: data, plan, calibration, question, runs, answer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import typer
from rich.console import Console

from normlab.cli.exit_codes import NOT_FINISHED, SOME_RUN_FAILED
from normlab.cli.screen.console import make_console, say, say_facts
from normlab.cli.screen.head import plan_facts, say_data
from normlab.cli.screen.live_page import live_page
from normlab.cli.screen.one_run import print_run, print_run_paths
from normlab.cli.screen.pictures import make_pictures
from normlab.cli.screen.probing import make_probe, tell_probe, wants_probe
from normlab.cli.screen.scan_progress import load_with_progress
from normlab.cli.screen.tracking import tracked
from normlab.cli.session.confirm import is_agreed, refuse_alone
from normlab.cli.session.first_look import taken_back_unless_agreed, write_look
from normlab.cli.session.plan_lines import plan_lines
from normlab.cli.session.progress import Sitting, begun_epochs, choose_executor, run_with_progress
from normlab.cli.session.sizing import StudyRequest, calibrate, frozen_plan, size_study
from normlab.cli.summary import print_answer, print_paths
from normlab.data.dataset import Dataset
from normlab.errors import UsageError
from normlab.plugins import use_plugins
from normlab.records.data_report import LOOK
from normlab.records.plan import StudyPlan
from normlab.records.run import RunSpec
from normlab.report.page.build import report_context, write_report
from normlab.study.budget import (
    cost_key,
    parse_duration,
    run_seconds,
    study_seconds,
)
from normlab.study.check import check_folder, check_plan
from normlab.study.study import Study
from normlab.text import count, format_seconds, shell_command
from normlab.trackers.beside import check_targets
from normlab.train.step_mode import StepMode

LEAST_SITTING = 10.0
"""Seconds; of shorter ones it is not counted how many are left."""


def conduct(request: StudyRequest, *, plan_only: bool = False) -> None:
    """Plan the study, ask, run it and print the answer; or write the plan and stop there."""
    start = time.monotonic()
    console = make_console()
    seconds = None if request.budget is None else parse_duration(request.budget)
    deadline = None if seconds is None else start + seconds
    use_plugins(request.plan.plugins, request.folder, request.plan.hash, trusted=True)
    check_plan(request.plan)
    choose_executor(request.executor, request.jobs)
    check_targets(request.plan.track)
    begun = (request.folder / "study.toml").exists()
    if not begun:
        check_folder(request.folder, request.plan.data.source)
    plan = _as_before(request) if begun else request.plan
    loaded = load_with_progress(plan.data, console, strict=request.strict)
    say_data(console, loaded, frozen_plan(plan, loaded.dataset), request.folder / LOOK)
    probe = None
    if begun:
        kept = "its size stays, --budget says how long to go on"
        facts = ["begun before", *([kept] if request.budget else [])]
        say_facts(console, "go on", [str(request.folder), *facts])
    else:
        plan, probe = size_study(request, loaded.dataset, console)
        if plan.data.image_size != request.plan.data.image_size:
            loaded = load_with_progress(plan.data, console, strict=request.strict)
    study = Study.planned(request.folder, plan, loaded.dataset, loaded.report)
    study.probe = probe
    if plan_only:
        for line in plan_lines(study.plan):
            say(console, line)
        if request.probing and wants_probe(study):
            steps = StepMode(compiled=request.compiled)
            found = calibrate(study.plan, loaded.dataset, request.device, steps, console)
            total = study_seconds(study.missing(), found.costs, found.data)
            study.probe = make_probe(study.plan, loaded.dataset, found, total, steps, console)
        tell_probe(study, console)
        request.folder.mkdir(parents=True, exist_ok=True)
        study.save()
        if study.data is not None and not (study.folder / LOOK).exists():
            write_look(study.folder, loaded.dataset, study.data)
        command = shell_command("run", request.folder)
        say_facts(console, "written", [str(study.path), f"start it: {command}"])
        return
    continue_study(
        study,
        loaded.dataset,
        console,
        device=request.device,
        yes=request.yes,
        deadline=deadline,
        jobs=request.jobs,
        executor=request.executor,
        compiled=request.compiled,
        probing=request.probing,
        live=request.live,
        track=request.plan.track,
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
    probing: bool = True,
    live: bool | None = None,
    track: Sequence[str] = (),
) -> None:
    """Run what is missing, then print the answer and the paths; trackers are told meanwhile.

    The study is written once the work is known to be possible and agreed to; only the look at its
    pictures comes before. At the deadline (in seconds of time.monotonic) runs stop where they are.
    """
    start = time.monotonic()
    choose_executor(executor, jobs)
    if compiled and study.plan.training.ranks > 1:
        raise UsageError("steps of several ranks are not compiled; leave --compile or --ranks out")
    study = study.with_trackers(track)
    with tracked(study, console) as tell:
        sitting = _run_missing(
            study, dataset, console,
            device=device, yes=yes, deadline=deadline, jobs=jobs, executor=executor,
            steps=StepMode(compiled=compiled), probing=probing, live=live, tell=tell,
        )  # fmt: skip
        make_pictures(study, dataset, device, console, sitting.ended)
        length = None if deadline is None else deadline - start
        _say_answer(study.folder, console, sitting, length)


def _run_missing(
    study: Study,
    dataset: Dataset,
    console: Console,
    *,
    device: str,
    yes: bool,
    deadline: float | None,
    jobs: str,
    executor: str | None,
    steps: StepMode,
    probing: bool,
    live: bool | None,
    tell: Callable[[RunSpec], None],
) -> Sitting:
    """Say what is missing, have it agreed to, save the study and run it."""
    start = time.monotonic()
    missing = study.missing()
    if not missing:
        say_facts(console, "plan", plan_facts(study.plan, (), {}))
        study.save()
        return Sitting("finished", 0.0)
    elsewhere = choose_executor(executor, jobs)[0].elsewhere
    found = calibrate(study.plan, dataset, device, steps, console, elsewhere)
    costs, data = found.costs, found.data
    if found.is_apart and executor is None:
        executor = "processes"
    before = begun_epochs(study, missing)
    expected = {
        spec.id: run_seconds(spec, costs[cost_key(spec)], data)
        * (1 - before.get(spec.id, 0) / spec.epochs)
        for spec in missing
    }
    say_facts(console, "plan", plan_facts(study.plan, missing, expected))
    total = sum(expected.values())
    refuse_alone(total if deadline is None else min(total, deadline - start), yes=yes)
    if probing and not elsewhere and wants_probe(study):
        study.probe = make_probe(study.plan, dataset, found, total, steps, console)
    tell_probe(study, console)
    left = total if deadline is None else min(total, max(deadline - time.monotonic(), 0.0))
    _ask(study, dataset, left, yes=yes)
    study.save()
    with live_page(study.folder, console, wanted=live) as page:
        return run_with_progress(
            study, dataset, expected, console,
            train_images=data.sizes[0], device=device, deadline=deadline,
            jobs=jobs, executor=executor, steps=steps, page=page, tell=tell,
        )  # fmt: skip


def _ask(study: Study, dataset: Dataset, seconds: float, *, yes: bool) -> None:
    """Have the work agreed to; the pictures of a new study can be looked at meanwhile.

    Raises:
        typer.Exit: the answer was no.
    """
    look = None
    if study.data is not None and not (study.folder / LOOK).exists():
        look = write_look(study.folder, dataset, study.data)
    with taken_back_unless_agreed(look):
        if not is_agreed(seconds, yes=yes):
            raise typer.Exit


def _say_answer(folder: Path, console: Console, sitting: Sitting, length: float | None) -> None:
    """The answer as far as it is known, the page, and how to go on in sittings of this length.

    Raises:
        typer.Exit: the study was stopped before its end (code 3), or some run failed (1).
    """
    context = report_context(folder)
    records, analysis = context.study, context.analysis
    only = records.runs[0] if len(records.runs) == analysis.planned == 1 else None
    if only is None:
        found = print_answer(analysis, console, folder)
    else:
        print_run(only, console)
    with console.status("drawing the report"):
        page = write_report(context, exports=sitting.ended != "stopped")
    if sitting.ended != "finished":
        say_facts(console, "page", [str(page)])
        say_facts(
            console, "stopped", [_left(sitting, length), f"go on: {shell_command('run', folder)}"]
        )
        raise typer.Exit(NOT_FINISHED)
    if only is None:
        print_paths(page, folder, console, records, analysis, found)
    else:
        print_run_paths(page, folder, only, records.plan, console)
    broken = [
        run
        for run in records.runs
        if run.outcome and run.outcome.status in ("failed", "out_of_memory")
    ]
    if broken:
        say_facts(
            console,
            "broken",
            [count(len(broken), "run"), f"why: {shell_command('status', folder)}"],
        )
        raise typer.Exit(SOME_RUN_FAILED)


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


def _left(sitting: Sitting, length: float | None) -> str:
    """What is left of a study that was stopped, and how many sittings that makes."""
    left = f"about {format_seconds(sitting.seconds_left)} left"
    if sitting.ended == "stopped":
        return f"what was finished is stored, {left}"
    if length is None or length < LEAST_SITTING:
        return f"the time is over: {left}"
    sittings = math.ceil(sitting.seconds_left / length)
    return f"the time is over: {left}, {count(max(sittings, 1), 'more sitting')} like this"
