"""`normlab cache`: what is kept on this machine, how much room it takes, and removing it."""

from __future__ import annotations

import re
import sys
import time
from typing import Annotated

import typer

from normlab.cli import options
from normlab.cli.screen.echo import echo
from normlab.errors import UsageError
from normlab.text import format_bytes

DAY = 86_400.0
UNITS = {"h": DAY / 24, "d": DAY, "w": 7 * DAY}


def cache(
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove what no process is making right now.")
    ] = False,
    older_than: Annotated[
        str | None, typer.Option(help="Only what was not used for 12h, 30d, 8w.")
    ] = None,
    yes: options.Yes = False,
) -> None:
    """List what the cache holds, longest unused first; with --clean, remove it.

    All of it is made again when it is needed: images are prepared, archives unpacked, kernels
    compiled; data sets of other libraries have to be downloaded again.
    """
    from rich.table import Table

    from normlab.cli.screen.console import SafeConsole
    from normlab.data.cache import cache_folder
    from normlab.data.cache_entries import cache_entries, remove_entry
    from normlab.norms.fused.cpu import loader

    console = SafeConsole(highlight=False, markup=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 200  # a path in a pipe is not broken into lines
    now = time.time()
    age = 0.0 if older_than is None else parse_age(older_than)
    folder = cache_folder()
    entries = [
        entry
        for entry in cache_entries(folder, loader.cache_folder().parent)
        if now - entry.last_used >= age
    ]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("kind", "on disk", "images", "pixels", "last used", "source"):
        right = name in ("on disk", "images", "pixels")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for entry in entries:
        table.add_row(
            entry.kind,
            format_bytes(entry.bytes),
            "" if entry.images is None else f"{entry.images:,}",
            "" if entry.size is None else f"{entry.size}×{entry.size}",
            format_age(now - entry.last_used),
            entry.source or entry.path.name,
        )
    if entries:
        console.print(table)
    total = sum(entry.bytes for entry in entries)
    noun = "entry" if len(entries) == 1 else "entries"
    console.print(f"{len(entries):,} {noun}, {format_bytes(total)}, in {folder}")
    if not clean or not entries:
        return
    _confirm(yes=yes)
    kept = [entry for entry in entries if not remove_entry(entry)]
    freed = total - sum(entry.bytes for entry in kept)
    in_use = f"; {len(kept)} in use, kept" if kept else ""
    console.print(f"removed {len(entries) - len(kept)}, {format_bytes(freed)} freed{in_use}")


def parse_age(text: str) -> float:
    """Seconds of "12h", "30d", "8w".

    >>> parse_age("2d")
    172800.0

    Raises:
        UsageError: not like that.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hdw])", text.strip())
    if match is None:
        raise UsageError(f"--older-than takes an age like 12h, 30d or 8w, got {text!r}")
    return float(match[1]) * UNITS[match[2]]


def format_age(seconds: float) -> str:
    """How long ago.

    >>> format_age(60), format_age(7200), format_age(200_000)
    ('just now', '2 h ago', '2 d ago')
    """
    if seconds < 3600:
        return "just now"
    return f"{seconds / 3600:.0f} h ago" if seconds < DAY else f"{seconds / DAY:.0f} d ago"


def _confirm(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask whether to remove these; add --yes")
    if not typer.confirm("Remove them?", default=False):
        echo("Nothing was removed.")
        raise typer.Exit
