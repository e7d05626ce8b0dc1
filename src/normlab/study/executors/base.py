"""What an executor is, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from normlab.records.run import EpochRow, Outcome, RunSpec
from normlab.study.job import Job, JobSettings
from normlab.train.interrupt import OnBatch, ignore_batch

if TYPE_CHECKING:  # imported by every node of a cluster before it answers that it is there
    from normlab.data.dataset import Dataset


@dataclass(frozen=True)
class Held:
    """A job did nothing, because another process has its run in hand; it may be tried again."""

    owner: str
    """The other process, as people call it."""


Event = tuple[RunSpec, EpochRow | Outcome | Held]
"""What became known of a run: a row, how it ended, or that somebody else makes it."""


class Executor(Protocol):
    """Makes the runs of jobs. What it tells of them it reads from their records.

    Engines do what engines do (places, retries, queues); which runs are missing is not their
    concern, and normlab.study.scheduler.run_study hands out no more than `capacity` at once.
    """

    @property
    def capacity(self) -> int:
        """Jobs that it can have in hand."""

    @property
    def in_hand(self) -> Set[str]:
        """The ids of the runs that were submitted and have not ended; a run that is neither in
        hand nor has an outcome was lost.
        """

    def submit(self, job: Job) -> None:
        """Take a job."""

    def events(self, timeout: float) -> list[Event]:
        """What is new, waiting so many seconds at most; a run ends with an Outcome or with Held.

        Raises:
            StorageError: a folder cannot be written.
        """

    def cancel(self) -> None:
        """Stop all jobs in order: between two batches, with every finished epoch stored."""

    def close(self) -> None:
        """Give everything back; no process is left."""


@dataclass(frozen=True)
class ExecutorRequest:
    """What an executor is made for."""

    study: Path
    settings: JobSettings
    """Settings of its jobs, with the threads and the device that one process alone would have."""
    missing: tuple[RunSpec, ...]
    """The runs that are known to be missing."""
    jobs: int | None = 1
    """Runs at once; None: as many as pay."""
    options: str = ""
    """What was behind the name: of "ray:address" the address."""
    dataset: Dataset | None = None
    """The study's data, if they are loaded in this process."""
    on_batch: OnBatch = ignore_batch
    """Called after every batch of a run in this process."""
    say: Callable[[str], None] = lambda line: None
    """Tells the user one line."""


@dataclass(frozen=True)
class ExecutorInfo:
    """One entry of the table."""

    name: str
    summary: str
    options: str
    """What may stand behind the name and a colon; empty: nothing."""
    make: Callable[[ExecutorRequest], Executor]
    elsewhere: bool = False
    """Whether runs are made on other machines: the one that hands them out, perhaps a login node,
    then measures no steps and makes no probe."""
