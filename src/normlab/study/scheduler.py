"""The one loop of a study: tuning, looks, blocks and stops, whoever makes the runs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import Protocol

from normlab.errors import UsageError
from normlab.records.run import EpochRow, Outcome, RunSpec
from normlab.records.store import RunFolder
from normlab.study.executors.base import Event, Executor, Held
from normlab.study.job import JobSettings, make_job
from normlab.study.lock import study_lock

POLL_SECONDS = 0.2
"""Seconds between two questions whether somebody has asked to stop."""
HELD_SECONDS = 1.0
"""Seconds until a run that another process has in hand is tried again."""


class Runs(Protocol):
    """What the loop needs of a study; normlab.study.study.Study is one."""

    folder: Path

    def next_runs(self, tried: Set[str]) -> list[RunSpec]:
        """What can be run now, without the runs that were tried in this session."""

    def run_folder(self, spec: RunSpec) -> RunFolder:
        """Where a run lives."""

    def note(self, spec: RunSpec, outcome: Outcome) -> None:
        """Hear how a run has ended."""


def run_study(
    study: Runs,
    executor: Executor,
    settings: JobSettings,
    *,
    may_start: Callable[[RunSpec], bool] = lambda spec: True,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Do what is missing, yielding every row and every outcome.

    First the tuning, if there is one; then block by block, and at every look, which waits for all
    runs before it, the arms that have lost are left out. It ends when nothing is left; after a run
    that was interrupted; or before a run that `may_start` refuses, when those in hand have ended.
    `should_stop` is asked all the time; once it is true, runs are stopped in order.

    A run that another process has in hand is told once and tried again until it is free.

    Raises:
        PlanError: another process is running the study.
        StorageError: a folder cannot be written.
        UsageError: a process cannot be started, or the executor has lost a run.
    """
    with study_lock(study.folder):
        session = _Session(study, executor, settings, may_start, should_stop)
        while not session.is_closed and (batch := study.next_runs(session.tried)):
            yield from session.run(batch)


class _Session:
    """What the loop remembers."""

    def __init__(
        self,
        study: Runs,
        executor: Executor,
        settings: JobSettings,
        may_start: Callable[[RunSpec], bool],
        should_stop: Callable[[], bool],
    ) -> None:
        self.tried: set[str] = set()
        self.is_closed = False
        """Whether no further run is begun."""
        self._study = study
        self._executor = executor
        self._settings = settings
        self._may_start = may_start
        self._should_stop = should_stop
        self._waiting: deque[RunSpec] = deque()
        self._out: dict[str, RunSpec] = {}
        self._cancelled = False
        self._held_until: dict[str, float] = {}

    def run(self, batch: list[RunSpec]) -> Iterator[Event]:
        """Make these runs, in any order."""
        self._waiting = deque(batch)
        while self._waiting or self._out:
            self._stop_if_asked()
            self._submit()
            if not self._out:  # all that is left is in the hands of other processes
                if self._waiting:
                    time.sleep(POLL_SECONDS)
                continue
            for spec, event in self._executor.events(POLL_SECONDS):
                yield from self._account(spec, event)
            yield from self._find_lost()

    def _stop_if_asked(self) -> None:
        if self._should_stop():
            self._close()
            self._cancel()

    def _submit(self) -> None:
        while len(self._out) < self._executor.capacity:
            now = time.monotonic()
            ready = (s for s in self._waiting if self._held_until.get(s.id, 0.0) <= now)
            spec = next(ready, None)
            if spec is None:
                return
            if not self._may_start(spec):
                self._close()
                return
            self._waiting.remove(spec)
            self.tried.add(spec.id)
            self._out[spec.id] = spec
            self._executor.submit(make_job(self._study.folder, spec, self._settings))

    def _account(self, spec: RunSpec, event: EpochRow | Outcome | Held) -> Iterator[Event]:
        if isinstance(event, Held):
            del self._out[spec.id]
            first = spec.id not in self._held_until
            self._held_until[spec.id] = time.monotonic() + HELD_SECONDS
            if not self.is_closed:
                self._waiting.append(spec)
            if first:
                yield spec, event
            return
        if isinstance(event, Outcome):
            del self._out[spec.id]
            self._study.note(spec, event)
            if event.status == "interrupted":  # whoever stopped it meant the study
                self._close()
                self._cancel()
        yield spec, event

    def _find_lost(self) -> Iterator[Event]:
        """An executor that forgets a run must not make the study wait for ever."""
        in_hand = self._executor.in_hand
        for spec in [spec for run, spec in self._out.items() if run not in in_hand]:
            outcome = self._study.run_folder(spec).read_outcome()
            if outcome is None or not outcome.is_final:
                self._cancel()
                raise UsageError(
                    f"the executor has lost the run {spec.folder_name}: it is not in hand any more "
                    "and has no outcome; run the command again, or with --executor processes"
                )
            yield from self._account(spec, outcome)

    def _close(self) -> None:
        self.is_closed = True
        self._waiting.clear()

    def _cancel(self) -> None:
        if not self._cancelled:
            self._cancelled = True
            self._executor.cancel()
