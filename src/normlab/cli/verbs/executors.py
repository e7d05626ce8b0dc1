"""`normlab executors`: the table of executors."""

from __future__ import annotations

from normlab.cli.screen.echo import echo


def executors() -> None:
    """List who can make the runs of a study: run and compare take one with --executor."""
    from normlab.study.executors.registry import all_executors

    for info in all_executors():
        echo(f"{info.name:<12}{info.summary}")
        if info.options:
            echo(f"{'':<12}--executor {info.name}:{info.options}")
