"""Lines on standard output and error, through the gate for the texts of others."""

from __future__ import annotations

import typer

from normlab.text import visible


def echo(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """`typer.echo` through `normlab.text.visible`; the line ends are the caller's own."""
    typer.echo(visible(text, lines=True), err=err, nl=nl)
