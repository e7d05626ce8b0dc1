"""The live page of a study, served from a thread while a test looks at it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from normlab.report.page.live import serve_live


@contextlib.contextmanager
def served(study: Path) -> Iterator[str]:
    """The address at which the page is served; afterwards it is seen that serving has ended."""
    lines: list[str] = []
    stop, up = threading.Event(), threading.Event()

    def log(line: str) -> None:
        lines.append(line)
        up.set()

    thread = threading.Thread(target=serve_live, args=(study,), kwargs={"log": log, "stop": stop})
    thread.start()
    try:
        assert up.wait(60)
        yield lines[0].split()[1]
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
