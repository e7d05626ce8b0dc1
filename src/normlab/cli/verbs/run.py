"""`normlab run`: start a study from a plan, continue one, or give it more blocks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from normlab.cli.expand import expand_groups
from normlab.cli.option_groups import (
    ContinueOptions,
    ExecutorOptions,
    ParallelOptions,
    ProbeOptions,
    RunningOptions,
    SourceOptions,
    TrackOptions,
)
from normlab.cli.options import choose_device, fetch, use_plugins
from normlab.data.locations import is_named
from normlab.errors import DataError, UsageError


@expand_groups
def run(
    study: Annotated[Path, typer.Argument(help="A study folder, or a study.toml.")],
    *,
    how: ContinueOptions,
    opening: SourceOptions,
    running: RunningOptions,
    parallel: ParallelOptions,
    executing: ExecutorOptions,
    probing: ProbeOptions,
    tracking: TrackOptions,
) -> None:
    """Run what is missing of a study; the same command again continues it."""
    from normlab.cli.screen.console import make_console
    from normlab.cli.screen.head import say_data
    from normlab.cli.screen.scan_progress import load_with_progress
    from normlab.cli.session.conduct import continue_study
    from normlab.records.data_report import LOOK
    from normlab.records.plan import read_plan
    from normlab.study.budget import parse_duration
    from normlab.study.check import check_folder, check_plan
    from normlab.study.folder import check_data, refuse_own
    from normlab.study.study import Study
    from normlab.trackers.beside import check_targets

    console = make_console()
    deadline = None if how.budget is None else time.monotonic() + parse_duration(how.budget)
    device = choose_device(running.device, deterministic=running.deterministic)
    folder = study.parent if study.name == "study.toml" else study
    plan = read_plan(folder / "study.toml" if study.is_dir() else study)
    refuse_own(folder, plan)
    if how.blocks is not None:
        plan = plan.with_blocks(how.blocks)
    source = how.data or plan.data.source
    fetch(source, download=opening.download)
    if not is_named(source) and not Path(source).exists():
        raise DataError(f"the study's images are not at {source}; say where they are with --data")
    check_targets((*plan.track, *(tracking.track or ())))
    use_plugins(plan, folder, trusted=how.trust_plugins or running.yes)
    check_plan(plan)
    if study.is_dir() or (study.name == "study.toml" and plan.frozen is not None):
        if how.out is not None:
            raise UsageError(f"{folder} is a study that has begun, and it stays; leave --out away")
        opened = Study.open(folder).with_blocks(plan.blocks)
        loaded = load_with_progress(plan.data, console, strict=opening.strict, location=how.data)
        check_data(folder, plan, loaded.dataset)
    else:
        plan = plan.model_copy(update={"data": plan.data.model_copy(update={"source": source})})
        folder = how.out or Path(f"{study.stem}-study")
        if not (folder / "study.toml").exists():
            check_folder(folder, source)
        loaded = load_with_progress(plan.data, console, strict=opening.strict)
        opened = Study.planned(folder, plan, loaded.dataset, loaded.report)
    look = folder / LOOK
    say_data(console, loaded, opened.plan, look if look.exists() or opened.data else None)
    continue_study(
        opened, loaded.dataset, console,
        device=device, yes=running.yes, deadline=deadline, jobs=parallel.jobs,
        executor=executing.executor, compiled=running.compiled, probing=not probing.no_probe,
        live=running.live, track=tracking.track or (),
    )  # fmt: skip
