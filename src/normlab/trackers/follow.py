"""The process beside a study that sends it to one tracker: `python -m normlab.trackers.follow`.

It is told on its standard input which runs have something new, a folder a line, and reads the rest
from the records. A tracker that does not answer is tried again, at growing intervals; when the
input ends, all that is missing is sent once more, and what came of it is written as a line of
JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from normlab.errors import NormlabError
from normlab.plugins import use_plugins
from normlab.trackers.sender import Sender, TrackerDownError

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
"""Seconds until a tracker that did not answer is tried again: the first time, and at most."""
LULL = 1.0
"""Seconds from the first that is new until it is sent, so that what comes at once goes at once."""
SHARE = 0.01
"""Of a processor, which sending may take: after one that took long the next waits longer …"""
LONGEST_REST = 15.0
"""… but never longer than this, in seconds: the first one imports the tracker's library."""


def follow(
    sender: Sender, lines: IO[str], pause: float = FIRST_PAUSE, lull: float = LULL
) -> dict[str, object]:
    """Send what the lines name until they end, then all that is missing.

    Returns:
        "missing": runs that the tracker does not have, and "error": why; empty if it has all.
    """
    told: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_hear, args=(lines, told.put), daemon=True).start()
    waiting: dict[str, None] = {}
    send_at, rested_at, wait, ended = 0.0, 0.0, pause, False
    while not ended:
        timeout = max(0.0, send_at - time.monotonic()) if waiting else None
        with contextlib.suppress(queue.Empty):
            line = told.get(timeout=timeout)
            ended = line is None
            if line:
                if not waiting:  # more may come with it
                    send_at = max(time.monotonic() + lull, rested_at)
                waiting[line] = None
        if ended or not waiting or time.monotonic() < send_at:
            continue
        before = time.process_time()
        try:
            for line in list(waiting):
                sender.send_run(Path(line))
                del waiting[line]
            rest = min((time.process_time() - before) / SHARE, LONGEST_REST)
            rested_at, wait = time.monotonic() + rest, pause
        except TrackerDownError:
            send_at, wait = time.monotonic() + wait, min(2 * wait, LONGEST_PAUSE)
    error = ""
    try:
        sender.send_all()
        sender.close()
    except TrackerDownError as down:
        error = str(down)
    return {"missing": sender.missing, "error": error}


def _hear(lines: IO[str], tell: Callable[[str | None], None]) -> None:
    for line in lines:
        tell(line.strip())
    tell(None)


def main() -> None:
    """Follow the study of the first argument for the tracker of the second."""
    for name in ("SIGINT", "SIGUSR1"):  # those who end a study mean its runs
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(10)
    folder, target = Path(sys.argv[1]), sys.argv[2]
    result = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # trackers print as they like
    try:
        sender = Sender(folder, target)
        use_plugins(sender.plan.plugins, folder, sender.plan.hash)
        answer = follow(sender, sys.stdin)
    except NormlabError as error:
        answer = {"missing": -1, "error": str(error)}
    with result:
        result.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
