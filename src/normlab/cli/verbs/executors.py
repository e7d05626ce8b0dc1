"""`normlab executors`: the table of executors."""

from __future__ import annotations

import typer


def executors() -> None:
    """List who can make the runs of a study: run and compare take one with --executor."""
    from normlab.study.executors.registry import all_executors

    for info in all_executors():
        options = f":{info.options}" if info.options else ""
        typer.echo(f"{info.name + options:<16}{info.summary}")
