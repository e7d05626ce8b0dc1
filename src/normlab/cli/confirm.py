"""Asking before long work."""

from __future__ import annotations

import sys

import typer

from normlab.errors import UsageError
from normlab.study.budget import format_seconds

ASK_FROM = 600.0
"""Seconds of work from which the command asks first."""


def confirm(seconds: float, *, yes: bool) -> None:
    """Ask whether to go on when the work takes more than ten minutes.

    Raises:
        UsageError: nobody is there to ask and --yes was not given.
        typer.Exit: the answer was no.
    """
    if yes or seconds <= ASK_FROM:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            f"this takes about {format_seconds(seconds)}, and there is no terminal to ask; "
            "add --yes to go on, or a smaller --budget"
        )
    if not typer.confirm("Go on?", default=True):
        typer.echo("Nothing was started; a smaller --budget or fewer --norms take less time.")
        raise typer.Exit
