"""`normlab verify`: whether the records of studies are what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from normlab.cli.screen.echo import echo


def verify(
    studies: Annotated[
        list[Path], typer.Argument(help="Study folders, or the study.toml files in them.")
    ],
) -> None:
    """Compare every file of every run with its checksum, and say what does not fit.

    A line a fault, with what to do; then how many runs are vouched for, are from before there were
    checksums, have not ended, or are damaged. Nothing is changed. The exit code is 1 where
    something is damaged.
    """
    from normlab.study.verify import verify_study
    from normlab.text import count

    damaged = False
    for study in studies:
        folder = study.parent if study.name == "study.toml" else study
        found = verify_study(folder)
        damaged = damaged or bool(found.faults)
        for fault in found.faults:
            echo(f"Damaged  {fault.place}: {fault.sentence}")
        parts = [f"{count(found.vouched, 'run')} vouched for"]
        if found.not_vouched:
            parts.append(f"{found.not_vouched} not vouched for (made before there were checksums)")
        if found.open:
            parts.append(f"{found.open} not ended")
        parts.append(f"{found.damaged} damaged")
        echo(f"{folder}: {', '.join(parts)}")
    if damaged:
        raise typer.Exit(1)
