"""`normlab networks`: the table of networks."""

from __future__ import annotations

import typer

from normlab.cli.screen.echo import echo


def networks(
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """List every network with its options and paper, also those of installed packages.

    --model takes any of these names, with options behind a colon: cifar-resnet20:shortcut=B.
    """
    import json
    import textwrap

    from normlab.networks.registry import all_networks
    from normlab.records.network import options_text

    rows = [
        {
            "name": info.name,
            "network": info.summary,
            "options": options_text(info.options) or "–",
            "paper": info.paper,
        }
        for info in all_networks().values()
    ]
    if as_json:
        echo(json.dumps(rows, indent=1))
        return
    for row in rows:  # as columns they would not fit into 80 characters
        echo(row["name"])
        for name in ("network", "options", "paper"):
            text = row[name].replace(",", ", ") if name == "options" else row[name]
            lines = textwrap.wrap(text, 64) or [""]
            echo(f"{'':<4}{name:<10}{lines[0]}")
            for line in lines[1:]:
                echo(f"{'':<14}{line}")
    echo(
        "\n--model takes any of these with its options, as cifar-resnet20:shortcut=B; --n 3 is\n"
        "cifar-resnet20 (6n+2 layers); --vary network=resnet18,resnet34 compares at both."
    )
