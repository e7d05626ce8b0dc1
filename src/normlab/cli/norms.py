"""`normlab norms`: the table of norms."""

from __future__ import annotations

import typer


def norms(
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """List every normalization with its options, parameters and paper."""
    import json

    from normlab.norms.spec import NORMS, describe

    rows = [describe(info) for info in NORMS.values()]
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    for row in rows:  # as columns they would not fit into 80 characters
        typer.echo(f"{row['code']:<10}{row['name']}")
        for name in ("normalizes over", "options", "parameters per channel", "paper"):
            typer.echo(f"{'':<10}{name:<24}{row[name]}")
