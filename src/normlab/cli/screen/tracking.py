"""Trackers while a study runs: told of what is new, and how they stand said at the end."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.console import Console

from normlab.cli.screen.console import say_facts
from normlab.records.run import RunSpec
from normlab.study.study import Study
from normlab.text import count, shell_command
from normlab.trackers.beside import LAST_SECONDS, Beside, where

HURRIED = 2.0
"""Seconds that trackers have where somebody wants to quit at once."""


@contextlib.contextmanager
def tracked(study: Study, console: Console) -> Iterator[Callable[[RunSpec], None]]:
    """A context that gives what tells the study's trackers of a run in which something is new.

    They begin with the first run, or at the end where there is none, and what they do not have is
    said when the study has been answered.
    """
    if not study.plan.track:
        yield lambda spec: None
        return
    beside: list[Beside] = []

    def begin() -> Beside:
        if not beside:
            beside.append(Beside(study.folder, study.plan.track))
        return beside[0]

    try:
        yield lambda spec: begin().tell(study.run_folder(spec).path)
    finally:
        if study.path.exists() and (beside or sys.exception() is None):
            hurried = isinstance(sys.exception(), KeyboardInterrupt)
            with console.status("the trackers are told the rest"):
                found = begin().close(HURRIED if hurried else LAST_SECONDS)
            for target, (missing, error) in found.items():
                _say(study, target, missing, error, console)


def _say(study: Study, target: str, missing: int, error: str, console: Console) -> None:
    name = target.partition(":")[0]
    if not error:
        say_facts(console, "track", [name, where(study.folder, study.plan, target)])
        return
    left = "what is missing" if missing <= 0 else f"{count(missing, 'run')} not there yet"
    later = f"later: {shell_command('track', study.folder, '--to', target)}"
    say_facts(console, "track", [f"{name}: {left}: {error}", later])
