"""`normlab report`: rebuild the page, the figures and the tables from the records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(study: Annotated[Path, typer.Argument(help="A study folder.")]) -> None:
    """Rebuild report/ from the records; needs no images and no training."""
    from rich.console import Console

    from normlab.cli.summary import print_analysis, print_paths
    from normlab.records.plan import read_plan
    from normlab.records.store import read_runs
    from normlab.report.build import build_report
    from normlab.stats.analysis import analyse

    console = Console()
    plan = read_plan(study / "study.toml")
    with console.status("drawing the report"):
        page = build_report(study)
    print_analysis(analyse(plan, read_runs(study)), console)
    print_paths(page, study, console)
