"""`normlab norms`: the table of norms."""

from __future__ import annotations

import typer


def norms(
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """List every normalization with its options, parameters and paper."""
    import json

    from rich.console import Console
    from rich.table import Table

    from normlab.norms.spec import NORMS, describe

    rows = [describe(info) for info in NORMS.values()]
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)
