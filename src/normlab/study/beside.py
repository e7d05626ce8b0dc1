"""A study's runs beside one another: hands them to workers, and tells what these have written."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from normlab.errors import InterruptedRunError
from normlab.records.run import EpochRow, Outcome, RunSpec
from normlab.study.tuning import is_tuning
from normlab.study.workers import Workers
from normlab.train.fit import AroundBatches

if TYPE_CHECKING:
    from normlab.study.study import Study

POLL_SECONDS = 0.1
NO_BATCH = ((), ())
"""Drawn by a progress bar, and a chance to stop, without any image."""


def run_beside(
    study: Study,
    workers: Workers,
    around: AroundBatches,
    may_start: Callable[[RunSpec], bool],
) -> Iterator[tuple[RunSpec, EpochRow | Outcome]]:
    """`Study.run` with several workers; a look waits for all runs before it.

    Raises:
        UsageError: a worker cannot be started.
    """
    tried: set[str] = set()
    stopping = False
    while not stopping and (batch := study.next_runs(tried)):
        waiting = deque(batch)
        while waiting or any(worker.spec is not None for worker in workers.all):
            for worker in workers.all:
                if worker.spec is not None or not waiting or worker.is_gone:
                    continue
                spec = waiting.popleft()
                if not may_start(spec):
                    waiting.clear()
                    stopping = True
                    break
                tried.add(spec.id)
                folder = study.run_folder(spec)
                worker.start(
                    spec,
                    folder,
                    evaluate_test=not is_tuning(spec),
                    threads=workers.threads,
                    compiled=workers.compiled,
                )
            for worker in workers.all:
                if worker.spec is not None:
                    spec = worker.spec
                    for event in worker.events():
                        yield spec, event
            if not stopping and any(worker.is_gone for worker in workers.all):
                workers.replace_gone()
            try:
                for _ in around([NO_BATCH]):  # type: ignore[list-item]
                    time.sleep(POLL_SECONDS)
            except InterruptedRunError:
                waiting.clear()
                for worker in workers.all:
                    if not stopping:
                        worker.stop()
                stopping = True
                time.sleep(POLL_SECONDS)
