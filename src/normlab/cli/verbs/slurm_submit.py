"""`normlab slurm-submit`: leave a study to SLURM, which carries it to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from normlab.cli.screen.echo import echo
from normlab.text import shell_command


def slurm_submit(
    study: Annotated[
        Path, typer.Argument(help="A study folder; begin one with: normlab plan photos/")
    ],
    runs: Annotated[
        str, typer.Option(help="Options of the runs: partition=gpu,time=2h,gres=gpu:1,tasks=64.")
    ] = "",
    driver: Annotated[
        str, typer.Option(help="Options of the job that hands them in: partition=cpu,time=8h.")
    ] = "",
) -> None:
    """Make a study's runs as jobs of SLURM, handed in by a job that continues itself.

    Nothing has to stay open: when its time is over, or its node is lost, a successor goes on, until
    the study is decided and its report is written.
    """
    from normlab.study.slurm_driver import driver_name, submit_driver
    from normlab.study.study import Study

    folder = study.parent if study.name == "study.toml" else study
    Study.open(folder)
    job = submit_driver(folder, runs, driver)
    name = driver_name(folder.resolve())
    echo(f"driver   job {job}; it prints to {folder / 'slurm-driver.log'}")
    echo(f"status   {shell_command('status', folder)}")
    echo(f"stop     scancel --name={name}")
