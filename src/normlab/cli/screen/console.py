"""The console of a study, and lines of a word and its facts.

A terminal gets lines that end where it ends. A log gets every line whole, whatever its length, so
that it can be searched and its paths copied.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.text import Text

from normlab.text import visible

LOG_WIDTH = 120
"""Columns of a table where there is no terminal; COLUMNS says otherwise."""
WORD = 9
"""Columns of the word before a line."""
NARROW = 70
"""Below so many columns what is not needed is left out."""


class SafeConsole(Console):
    """A console whose every text, a table's cell too, passes `normlab.text.visible`."""

    def render_str(self, text: str, **options: Any) -> Text:
        """What rich makes of a text before it prints it."""
        return super().render_str(visible(text, lines=True), **options)


def make_console() -> Console:
    """Of this process's output; NO_COLOR, TERM=dumb and COLUMNS are obeyed, as rich does."""
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return SafeConsole(highlight=False)
    return SafeConsole(highlight=False, width=LOG_WIDTH)


def say(console: Console, line: str) -> None:
    """A line that is never wrapped, so that its paths and commands can be copied."""
    console.print(visible(line), soft_wrap=True, markup=False, highlight=False)


def say_facts(console: Console, word: str, facts: Sequence[str]) -> None:
    """A word and what is to be said of it, over as many lines as a terminal needs."""
    width = console.width if console.is_terminal else None
    for number, line in enumerate(packed(facts, width)):
        console.print(f"[bold]{'' if number else word:<{WORD}}[/bold]", end="")
        say(console, line)


def say_table(console: Console, table: RenderableType) -> None:
    """A table; in a log without the spaces that fill its lines."""
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        say(console, line.rstrip())


def packed(facts: Sequence[str], width: int | None) -> list[str]:
    """Facts with a dot between them, in lines of at most so many columns beside the word.

    A fact that is longer has lines of its own, broken between words; a path or a command is never
    broken, so that it can be copied.

    >>> packed(["7 norms", "about 9 min", "first ranking in 2 min"], 36)
    ['7 norms · about 9 min', 'first ranking in 2 min']
    """
    lines: list[str] = []
    for whole in facts:
        if width is not None and WORD + cell_len(whole) > width and not _is_copied(whole):
            lines += textwrap.wrap(whole, max(20, width - WORD), break_on_hyphens=False)
            continue
        fact = whole
        longer = f"{lines[-1]} · {fact}" if lines else fact
        if lines and (width is None or WORD + cell_len(longer) <= width):
            lines[-1] = longer
        else:
            lines.append(fact)
    return lines


def _is_copied(fact: str) -> bool:
    return "normlab " in fact or " " not in fact
