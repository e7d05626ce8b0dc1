"""`normlab report`: rebuild the page, the figures and the tables from the records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    study: Annotated[Path, typer.Argument(help="A study folder, or the study.toml in it.")],
) -> None:
    """Rebuild report/ from the records; needs no images and no training."""
    from rich.console import Console

    from normlab.cli.summary import print_analysis, print_paths
    from normlab.report.build import build_report
    from normlab.stats.analysis import analyse
    from normlab.stats.reading import read_study

    console = Console()
    folder = study.parent if study.name == "study.toml" else study
    records = read_study(folder)
    with console.status("drawing the report"):
        page = build_report(folder)
    analysis = analyse(records.plan, records.runs, records.ledger, records.data)
    print_analysis(analysis, console)
    for damaged in records.unreadable:
        typer.echo(f"Damaged  {damaged.folder}: {damaged.reason}")
    print_paths(page, folder, console, analysis)
