"""The page of a study while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from normlab.cli.screen.console import say_facts
from normlab.errors import StorageError
from normlab.report.page.live import LivePage, live_view


@contextlib.contextmanager
def live_page(folder: Path, console: Console, *, wanted: bool | None) -> Iterator[LivePage | None]:
    """The page while the study runs, and the line that says where; a run does not fail for it."""
    if wanted is False or (wanted is None and not console.is_terminal):
        yield None
        return
    with contextlib.ExitStack() as stack:
        try:
            address, page = stack.enter_context(live_view(folder))
        except StorageError as error:
            say_facts(console, "live", [str(error)])
            yield None
            return
        say_facts(console, "live", [address])
        yield page
