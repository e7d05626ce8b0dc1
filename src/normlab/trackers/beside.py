"""Trackers beside a study that runs: a process each, which can neither stop nor slow it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from normlab.records.plan import StudyPlan
from normlab.trackers.base import TrackerInfo, TrackerRequest
from normlab.trackers.registry import find_tracker

LAST_SECONDS = 20.0
"""How long the end of a study waits for its trackers; what is missing then is sent another time."""


@dataclass(frozen=True)
class Told:
    """How a tracker stands when the study has ended."""

    target: str
    where: str
    missing: int
    error: str
    """Why runs are missing; empty where none is."""


class Beside:
    """The processes of a study's trackers."""

    def __init__(self, folder: Path, targets: Sequence[str]) -> None:
        """Start a process for every target of a study that is on the disk."""
        self._folder = folder
        self._processes = {target: self._start(target) for target in dict.fromkeys(targets)}

    def tell(self, run: Path) -> None:
        """Something is new in a run's folder. It never waits: what is not heard is found later."""
        line = f"{run}\n".encode()
        for process in self._processes.values():
            assert process.stdin is not None
            try:
                os.write(process.stdin.fileno(), line)
            except OSError:  # the pipe is full, or nobody is there any more
                continue

    def close(self, seconds: float = LAST_SECONDS) -> dict[str, tuple[int, str]]:
        """End the processes when they have sent all; target → runs that are missing, and why."""
        for process in self._processes.values():
            assert process.stdin is not None
            process.stdin.close()
        found = {}
        for target, process in self._processes.items():
            try:
                process.wait(timeout=seconds)
                found[target] = _answer(process)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                found[target] = (-1, f"it took more than {seconds:.0f} s")
            if process.stdout is not None:
                process.stdout.close()
        return found

    def _start(self, target: str) -> subprocess.Popen[bytes]:
        log = self._folder / "trackers" / f"{target.partition(':')[0]}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "normlab.trackers.follow", str(self._folder), target],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        assert process.stdin is not None
        if hasattr(os, "set_blocking"):
            os.set_blocking(process.stdin.fileno(), False)
        return process


def check_targets(targets: Sequence[str]) -> list[TrackerInfo]:
    """The trackers of some targets.

    Raises:
        UsageError: one is unknown, or its options cannot be.
        MissingExtraError: its library is not installed.
    """
    return [find_tracker(target)[0] for target in targets]


def where(folder: Path, plan: StudyPlan, target: str) -> str:
    """Where the runs go that a target is sent."""
    info, options = find_tracker(target)
    return info.where(TrackerRequest(folder, plan.name, plan.hash, options))


def _answer(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    assert process.stdout is not None
    try:
        answer = json.loads(process.stdout.read())
        return int(answer["missing"]), str(answer["error"])
    except (ValueError, KeyError):
        return -1, f"its process ended with code {process.returncode}"
