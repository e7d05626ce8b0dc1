"""`normlab audit`: published tables held against arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def audit(
    files: Annotated[list[Path], typer.Argument(help="CSV, Markdown or LaTeX files with tables.")],
    images: Annotated[int, typer.Option(min=1, help="Test images.")],
    train_images: Annotated[
        int | None, typer.Option(min=1, help="Training images, to count training accuracies too.")
    ] = None,
    same: Annotated[
        list[str] | None,
        typer.Option(help="Rows that are one cell under two names: 'BN = BN, batch 32'."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find numbers that cannot be, and differences that decide nothing; exit code 1 if any."""
    import json
    from dataclasses import asdict

    from normlab.errors import UsageError
    from normlab.stats.audit.rules import TITLES
    from normlab.stats.audit.rules import audit as run_audit
    from normlab.stats.audit.tables import read_tables
    from normlab.text import count

    names = {}
    for text in same or ():
        one, equals, other = text.partition("=")
        if not equals or not one.strip() or not other.strip():
            raise UsageError(f"--same takes two names with = between, got {text!r}")
        names[one] = other
    tables = [table for file in files for table in read_tables(file)]
    found = run_audit(tables, images, train_images=train_images, same=names)
    if as_json:
        typer.echo(json.dumps([asdict(f) for f in found], indent=1, ensure_ascii=False))
        raise typer.Exit(1 if found else 0)
    rows = sum(len(table.rows) for table in tables)
    typer.echo(f"{len(tables)} tables, {rows} rows, {images:,} test images")
    for code, title in TITLES.items():
        own = [f for f in found if f.code == code]
        result = count(len(own), "finding") if own else "passed"
        typer.echo(f"\n{code}  {title}: {result}")
        for finding in own:
            typer.echo(f"  {finding.row}: {finding.arithmetic}  [{finding.table}]")
    raise typer.Exit(1 if found else 0)
