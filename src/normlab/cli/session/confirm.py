"""Asking before long work."""

from __future__ import annotations

import sys

import typer

from normlab.cli.screen.echo import echo
from normlab.errors import UsageError
from normlab.text import format_seconds

ASK_FROM = 60.0
"""Seconds of work from which the command asks first."""
REFUSE_FROM = 600.0
"""Seconds from which it does not begin by itself where nobody is there to ask."""


def refuse_alone(seconds: float, *, yes: bool) -> None:
    """Refuse long work that nobody has agreed to and nobody is there to be asked about.

    Raises:
        UsageError: it takes over ten minutes, there is no terminal, and --yes was not given.
    """
    if not yes and seconds > REFUSE_FROM and not sys.stdin.isatty():
        raise UsageError(
            f"this takes about {format_seconds(seconds)}, and there is no terminal to ask; "
            "add --yes to go on, or a smaller --budget"
        )


def is_agreed(seconds: float, *, yes: bool) -> bool:
    """Whether to start: what takes more than a minute is asked for, where there is a terminal."""
    if yes or seconds <= ASK_FROM or not sys.stdin.isatty():
        return True
    try:
        if typer.confirm("         start?", default=True):
            return True
    except typer.Abort:  # the input ended, or Ctrl-C: nobody has agreed
        echo()
    echo("Nothing was started; fewer --norms or a smaller --budget take less time.")
    return False
