"""`normlab report`: rebuild the page, the figures and the tables from the records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from normlab.cli.screen.echo import echo


def report(
    studies: Annotated[
        list[Path],
        typer.Argument(help="Study folders (or study.toml files); several give one page."),
    ],
    watch: Annotated[
        bool, typer.Option("--watch", help="Serve the page on this machine while the study runs.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of --watch; 0: any free one.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="The folder of the page of several studies.")
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            help="Judge the finished runs by another factor that varies (batch_size, optimizer, "
            "…), without training: report/by-FACTOR/."
        ),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="With --compare: the level to set the others against.")
    ] = None,
) -> None:
    """Rebuild report/ from the records; needs no images and no training."""
    from normlab.errors import UsageError

    folders = [study.parent if study.name == "study.toml" else study for study in studies]
    if reference is not None and compare is None:
        raise UsageError("--reference goes with --compare; a plan has its own reference")
    if compare is not None and (watch or len(folders) > 1):
        raise UsageError("--compare takes one study, and no --watch; leave one of them out")
    if len(folders) > 1:
        if watch:
            raise UsageError("--watch takes one study")
        _joint(folders, out or Path("joint-report"))
    elif out is not None:
        raise UsageError("--out is for several studies; one study has its page in report/")
    elif watch:
        from normlab.report.page.live import serve_live

        serve_live(folders[0], port, log=typer.echo)
    else:
        _single(folders[0], compare and compare.replace("-", "_"), reference)


def _single(folder: Path, compare: str | None, reference: str | None) -> None:
    from normlab.cli.screen.console import make_console
    from normlab.cli.summary import print_answer, print_paths, print_words
    from normlab.report.charts.parallel_drawing import start_drawing
    from normlab.report.page.build import report_context, write_report

    console = make_console()
    start_drawing()
    with console.status("drawing the report"):
        context = report_context(folder, compare, reference)
        page = write_report(context)
    records, analysis = context.study, context.analysis
    found = print_answer(analysis, console, folder)
    print_words(records, analysis, console)
    for damaged in records.unreadable:
        echo(f"Damaged  {damaged.folder}: {damaged.reason}")
    print_paths(page, folder, console, records, analysis, found)


def _joint(folders: list[Path], out: Path) -> None:
    from normlab.report.page.joint import build_joint_report

    echo(f"Report   {build_joint_report(folders, out)}")
