"""`normlab run`: start a study from a plan, continue one, or give it more blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from normlab.cli import options


def run(
    study: Annotated[Path, typer.Argument(help="A study folder, or a study.toml.")],
    blocks: Annotated[int | None, typer.Option(min=1, help="Extend to so many blocks.")] = None,
    data: Annotated[str | None, typer.Option(help="Where the images are now.")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder of a new study.")] = None,
    device: options.Device = "auto",
    strict: options.Strict = False,
    yes: options.Yes = False,
) -> None:
    """Run what is missing of a study; the same command again continues it."""
    from rich.console import Console

    from normlab.cli.scan_progress import load_with_progress
    from normlab.cli.study_session import continue_study
    from normlab.records.plan import read_plan
    from normlab.study.study import Study

    console = Console()
    if study.is_dir():
        opened = Study.open(study)
        plan = opened.plan
        dataset = load_with_progress(plan.data, console, strict=strict, location=data)
        opened.check_data(dataset)
        if blocks is not None:
            opened.set_blocks(blocks)
    else:
        plan = read_plan(study)
        if blocks is not None:
            plan = plan.model_copy(update={"blocks": blocks})
        if data is not None:
            plan = plan.model_copy(update={"data": plan.data.model_copy(update={"source": data})})
        dataset = load_with_progress(plan.data, console, strict=strict)
        opened = Study.create(out or Path(f"{study.stem}-study"), plan, dataset)
    continue_study(opened, dataset, console, device=options.choose_device(device), yes=yes)
