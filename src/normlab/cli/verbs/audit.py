"""`normlab audit`: published tables held against arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from normlab.cli.screen.echo import echo


def audit(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Files with tables: Markdown, CSV, TSV, LaTeX, HTML, reStructuredText or text."
        ),
    ],
    images: Annotated[
        list[str] | None,
        typer.Option(
            help="Test images, for the rules that count: 7500, or by data set or part: "
            "CIFAR-10=10000, validation=5000."
        ),
    ] = None,
    train_images: Annotated[
        int | None,
        typer.Option(min=1, max=10**12, help="Training images, to count training accuracies too."),
    ] = None,
    runs: Annotated[
        int | None, typer.Option(min=1, max=10**6, help="Every figure is the mean of so many runs.")
    ] = None,
    balanced: Annotated[
        bool, typer.Option("--balanced", help="All classes have equally many images.")
    ] = False,
    same: Annotated[
        list[str] | None,
        typer.Option(help="Rows that are one cell under two names: 'BN = BN, batch 32'."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with the tables, the cells marked (.html).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find numbers that cannot be (exit code 1), and ask about others (exit code 0)."""
    import json

    from normlab.errors import UsageError
    from normlab.records.store import atomic_write
    from normlab.stats.audit.known import parse_known
    from normlab.stats.audit.page import render_audit_page
    from normlab.stats.audit.printing import as_data, as_lines
    from normlab.stats.audit.reading import read_tables
    from normlab.stats.audit.rules import audit as run_audit

    if html is not None and html.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--html writes a page, and {html} does not end in .html; name it so")
    known = parse_known(
        images or (), train_images=train_images, runs=runs, balanced=balanced, same=same or ()
    )
    tables = [table for file in files for table in read_tables(file)]
    report = run_audit(tables, known)
    if html is not None:
        atomic_write(html, render_audit_page(tables, report).encode())
    if as_json:
        echo(json.dumps(as_data(tables, report), indent=1))
    else:
        for line in as_lines(tables, report, known):
            echo(line)
        if html is not None:
            echo(f"\nPage  {html}")
    raise typer.Exit(1 if report.certain else 0)
