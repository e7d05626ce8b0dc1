"""One run after the other, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import TYPE_CHECKING

from normlab.errors import InterruptedRunError
from normlab.records.run import EpochRow, Outcome
from normlab.study.executors.base import Event, ExecutorInfo, ExecutorRequest
from normlab.study.executors.remote import said_by_records
from normlab.study.job import Job, job_rows
from normlab.train.interrupt import OnBatch, ignore_batch

if TYPE_CHECKING:
    from normlab.data.dataset import Dataset


class InlineExecutor:
    """Trains while its events are asked for, up to the next one."""

    capacity = 1

    def __init__(self, dataset: Dataset | None = None, on_batch: OnBatch = ignore_batch) -> None:
        """With the study's data, or none to load them; `on_batch` is called after every batch."""
        self._dataset = dataset
        self._on_batch = on_batch
        self._job: Job | None = None
        self._rows: Iterator[EpochRow] = iter(())
        self._cancelled = False

    @property
    def in_hand(self) -> Set[str]:
        """The one run, if there is one."""
        return set() if self._job is None else {self._job.spec.id}

    def submit(self, job: Job) -> None:
        """Take a job; its run begins when events are asked for."""
        assert self._job is None
        self._job = job
        self._rows = job_rows(job, dataset=self._dataset, on_batch=self._after_batch)

    def events(self, timeout: float) -> list[Event]:
        """The next row, or how the run ended; it takes as long as that takes."""
        if self._job is None:
            return []
        job = self._job
        try:
            for row in self._rows:
                return [(job.spec, row)]
        except InterruptedRunError as error:  # before there was anything to store
            self._job = None
            return [(job.spec, Outcome(status="interrupted", epochs=0, error=str(error)))]
        self._job = None
        from normlab.norms.fused.cpu.memory import give_back_freed_memory

        give_back_freed_memory()
        return [(job.spec, said_by_records(job))]

    def cancel(self) -> None:
        """Stop the run after its batch; it goes on to there when events are asked for."""
        self._cancelled = True

    def close(self) -> None:
        """End a run that nobody asks for any more, as it is."""
        if self._job is not None:
            self._rows = iter(())  # closes the generator, which gives its lease back
            self._job = None

    def _after_batch(self, images: int) -> None:
        self._on_batch(images)
        if self._cancelled:
            raise InterruptedRunError("stopped between two batches")


def _make(request: ExecutorRequest) -> InlineExecutor:
    return InlineExecutor(request.dataset, request.on_batch)


EXECUTOR = ExecutorInfo("inline", "One run after the other, in this process.", "", _make)
