"""`normlab norms`: the table of norms."""

from __future__ import annotations

import typer

from normlab.cli.screen.echo import echo


def norms(
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """List every normalization with its options, parameters and paper.

    Any of them takes +ws behind it (gn:groups=4+ws): the filters of the convolutions are
    standardized too (Qiao et al. 2019, arXiv:1903.10520).
    """
    import json
    import textwrap

    from normlab.norms.registry import all_norms
    from normlab.norms.spec import describe

    rows = [describe(info) for info in all_norms().values()]
    if as_json:
        echo(json.dumps(rows, indent=1))
        return
    for row in rows:  # as columns they would not fit into 80 characters
        echo(f"{row['code']:<12}{row['name']}")
        for name in ("normalizes over", "options", "parameters per channel", "paper"):
            lines = textwrap.wrap(str(row[name]), 56)
            echo(f"{'':<12}{name:<24}{lines[0]}")
            for line in lines[1:]:
                echo(f"{'':<36}{line}")
