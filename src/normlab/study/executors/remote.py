"""What executors have in common whose runs are made elsewhere, under an engine of somebody else.

The engine finds places, queues, and tries again what its machines have lost. Here the records of
the runs are followed, which every machine sees in the study's folder; they alone say how a run
ended. A job that ended without an outcome is handed in again, as long as it gets further.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from normlab import errors
from normlab.errors import InterruptedRunError, LeaseLostError, NormlabError, UsageError
from normlab.records.follow import RowFollower
from normlab.records.lease import lease_owner
from normlab.records.run import Outcome
from normlab.study.executors.base import Event, Held
from normlab.study.folder import run_folder
from normlab.study.job import Job, prepare_process, record_failure, run_job

ATTEMPTS = 3
"""Times that a job ends without an outcome or a further checkpoint, before its run has failed."""
POLL_SECONDS = 0.2
"""Seconds between two looks at rows and at the engine."""

Handle = TypeVar("Handle")


class Engine(Protocol[Handle]):
    """What makes jobs somewhere, at some time, and again where a machine is lost."""

    @property
    def capacity(self) -> int:
        """Jobs that it can have in hand."""

    def start(self, jobs: Sequence[Job]) -> Sequence[Handle]:
        """Hand in jobs, which the engine may make in any order."""

    def ended(self, handles: Sequence[Handle]) -> dict[Handle, Answer]:
        """Those of the jobs that have ended, and what they answered."""

    def stop(self, handles: Sequence[Handle]) -> None:
        """Ask jobs to stop in order, and drop those that have not begun."""

    def close(self) -> None:
        """Give everything back."""


@dataclass(frozen=True)
class Answer:
    """What a job says at its end; how its run ended is in the records."""

    error: str = ""
    """Why it could not be made, or why the engine gave it up; empty where all went well."""
    kind: str = ""
    """The class of the error in normlab.errors, where it is one: no other try can help."""


@dataclass
class _Taken(Generic[Handle]):
    job: Job
    follower: RowFollower
    handle: Handle | None = None
    """None: not handed in yet."""
    attempts: int = 0
    """How often it ended without getting further."""
    before: tuple[int, int] = (0, 0)
    """How far the run was when it was handed in: epochs, and the time of its checkpoint."""


class RemoteExecutor(Generic[Handle]):
    """Hands jobs to an engine and tells what their records say."""

    def __init__(self, engine: Engine[Handle], place: Callable[[Job], Job]) -> None:
        """With an engine, and what the job becomes there: its device and its threads."""
        self._engine = engine
        self._place = place
        self._taken: dict[str, _Taken[Handle]] = {}
        self._ended: list[Event] = []
        self._cancelled = False

    @property
    def capacity(self) -> int:
        """Jobs that it can have in hand."""
        return self._engine.capacity

    @property
    def in_hand(self) -> Set[str]:
        """The ids of the runs whose end was not told yet."""
        return self._taken.keys() | {spec.id for spec, _ in self._ended}

    def submit(self, job: Job) -> None:
        """Take a job; it is handed in with the others of the same moment."""
        folder = run_folder(job.study, job.spec)
        outcome = folder.read_outcome()
        if outcome is not None and outcome.is_final:
            self._ended.append((job.spec, outcome))
            return
        taken: _Taken[Handle] = _Taken(self._place(job), RowFollower(folder))
        taken.before = _how_far(taken)
        self._taken[job.spec.id] = taken

    def events(self, timeout: float) -> list[Event]:
        """What the records say that is new.

        Raises:
            StorageError: a folder cannot be written.
            UsageError: the data cannot be used where the job was made.
        """
        until = time.monotonic() + timeout
        while True:
            self._hand_in()
            found, self._ended = self._ended, []
            found += self._news()
            if found or time.monotonic() >= until:
                return found
            time.sleep(min(POLL_SECONDS, max(until - time.monotonic(), 0)))

    def cancel(self) -> None:
        """Stop what is being made in order; what was not handed in is not begun."""
        self._cancelled = True
        handles = [taken.handle for taken in self._taken.values() if taken.handle is not None]
        self._engine.stop(handles)

    def close(self) -> None:
        """Give the engine back."""
        self._engine.close()

    def _hand_in(self) -> None:
        new = [taken for taken in self._taken.values() if taken.handle is None]
        if self._cancelled:
            for taken in new:
                self._end(taken, _interrupted(taken, "stopped before it was begun"))
        elif new:
            for taken, handle in zip(new, self._engine.start([t.job for t in new]), strict=True):
                taken.handle = handle

    def _news(self) -> list[Event]:
        handles = [taken.handle for taken in self._taken.values() if taken.handle is not None]
        answers = self._engine.ended(handles)  # asked first: rows may come until a job has ended
        found: list[Event] = []
        for taken in list(self._taken.values()):
            found += [(taken.job.spec, row) for row in taken.follower.new_rows()]
            if taken.handle in answers:
                self._after_end(taken, answers[taken.handle])
        found += self._ended
        self._ended = []
        return found

    def _after_end(self, taken: _Taken[Handle], answer: Answer) -> None:
        if answer.kind:
            raise getattr(errors, answer.kind, UsageError)(answer.error)
        event = said_by_records(taken.job, answer.error or "its job ended without an outcome")
        stays = self._cancelled or _is_over(taken.job)
        if isinstance(event, Held) or event.status != "interrupted" or stays:
            self._end(taken, event)
        else:
            self._try_again(taken, event.error)

    def _try_again(self, taken: _Taken[Handle], reason: str | None) -> None:
        """Preempted, over its time, or killed: the run goes on from where it was stored."""
        now = _how_far(taken)
        taken.attempts = 0 if now > taken.before else taken.attempts + 1
        taken.before = now
        taken.handle = None
        if taken.attempts < ATTEMPTS:
            return
        error = f"its job ended {ATTEMPTS} times without getting further: {reason}"
        self._end(taken, record_failure(taken.job, error))

    def _end(self, taken: _Taken[Handle], event: Outcome | Held) -> None:
        del self._taken[taken.job.spec.id]
        self._ended.append((taken.job.spec, event))


def _how_far(taken: _Taken[Any]) -> tuple[int, int]:
    """Epochs, and within an epoch the time of the last checkpoint."""
    folder = run_folder(taken.job.study, taken.job.spec).checkpoint_path
    return taken.follower.epochs, folder.stat().st_mtime_ns if folder.exists() else 0


def _is_over(job: Job) -> bool:
    """Whether the time that all jobs of this session have is over: another try would do nothing."""
    return job.settings.stop_at is not None and time.time() >= job.settings.stop_at


def _interrupted(taken: _Taken[Any], reason: str) -> Outcome:
    return Outcome(status="interrupted", epochs=taken.follower.epochs, error=reason)


def said_by_records(job: Job, reason: str = "") -> Outcome | Held:
    """How a run stands whose job has ended: its outcome, or that somebody else has it in hand.

    `reason` is why the job ended, if it left no outcome.
    """
    folder = run_folder(job.study, job.spec)
    outcome = folder.read_outcome()
    owner = lease_owner(folder.path)
    if owner is not None and not (outcome is not None and outcome.is_final):
        return Held(str(owner))
    if outcome is not None:
        return outcome
    if not reason:
        return Held("another process")
    return Outcome(status="interrupted", epochs=len(folder.read_rows()), error=reason)


def answer_job(text: str, on_batch: Callable[[int], None]) -> Answer:
    """Make the run of a job's JSON in this process, which an engine has started."""
    try:
        job = Job.from_json(text)
        on_batch(0)
        prepare_process(job.settings)
        run_job(job, on_batch=on_batch)
    except (InterruptedRunError, LeaseLostError) as error:
        return Answer(str(error))
    except NormlabError as error:
        return Answer(" ".join(str(error).split()), type(error).__name__)
    except OSError as error:
        return Answer(" ".join(str(error).split()), "StorageError")
    return Answer()


def placed(job: Job, *, device: str, threads: int) -> Job:
    """The job with the device and the threads of the place where it will be made."""
    return replace(job, settings=replace(job.settings, device=device, threads=threads))
