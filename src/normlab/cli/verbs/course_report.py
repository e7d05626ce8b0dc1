"""`normlab course-report`: the report that the course asks for, as LaTeX and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from normlab.cli.screen.echo import echo


def course_report(
    studies: Annotated[
        list[Path], typer.Argument(help="Study folders; of the first the galleries are taken.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The folder of the report.", show_default="STUDY/course-report"),
    ] = None,
) -> None:
    """Write the course's tables 1 to 7, curves, galleries and analysis from finished studies.

    Where TeX is installed (tectonic, pdflatex, xelatex) the PDF is made too. What the studies have
    no runs for is said, with the command that makes them.
    """
    from normlab.errors import UsageError
    from normlab.report.course.build import build_course_report

    folders = [study.parent if study.name == "study.toml" else study for study in studies]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UsageError("a study is named twice; name each once")
    made = build_course_report(folders, out)
    numbers = [slug.removeprefix("table-") for slug in made.tables if slug.startswith("table-")]
    echo(f"tables   {', '.join(numbers) or 'none'}")
    echo(f"figures  {made.figures}")
    for line in made.missing:
        echo(f"missing  {line}")
    echo(f"written  {made.document}")
    if made.pdf is not None:
        echo(f"pdf      {made.pdf}")
    else:
        echo("pdf      not made: install tectonic or pdflatex, and run it on report.tex")
