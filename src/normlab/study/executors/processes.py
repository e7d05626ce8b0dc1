"""Several runs at once, each in a process of its own; the records on disk are all that they share.

A network of 0.2 million parameters cannot fill a GPU: several train beside each other in hardly
more time. Every process works as one alone would, so the rows are the same. On a CPU the cores are
divided among the processes, and the rows are those of one run with so many threads. Processes are
kept from run to run: to start one takes seconds. Of several GPUs each gets processes in turn.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from typing import Any

from normlab import errors
from normlab.errors import UsageError, shortened
from normlab.memory import kills, reason_of_death
from normlab.records.follow import RowFollower
from normlab.records.run import Outcome, RunSpec
from normlab.study.devices import devices_of, start_service, threads_of
from normlab.study.executors.base import Event, ExecutorInfo, ExecutorRequest
from normlab.study.executors.remote import said_by_records
from normlab.study.folder import run_folder
from normlab.study.job import Job, JobSettings, make_job, record_failure

MAX_JOBS = 16
MIN_SPEEDUP = 1.1
"""Twice the processes must do at least so many times the work, or they are not started."""
CALIBRATION_SECONDS = 3.0
ATTEMPTS = 3
"""Times that a run is begun whose process is killed, before it is called failed."""
POLL_SECONDS = 0.1
"""Seconds between two looks at the rows that processes have written."""


class Worker:
    """One process of normlab.study.executors.worker, and the job that it has in hand."""

    def __init__(self, request: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        """Start it; it answers {"ready": true} once it has the data and its device."""
        self.device: str = request["settings"]["device"]
        self.job: Job | None = None
        self.attempts = 0
        self.follower: RowFollower | None = None
        self.answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._errors: list[str] = []
        self._kills = kills()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "normlab.study.executors.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C comes from us, once
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # on Windows
            env={**os.environ, **environment},
        )
        self._listeners = [
            threading.Thread(target=target, daemon=True)
            for target in (self._listen, self._listen_to_errors)
        ]
        for listener in self._listeners:
            listener.start()
        self.send(dict(request))

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def send(self, content: dict[str, Any]) -> None:
        """Send a line to the process; one that is gone is found out when it does not answer."""
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(content) + "\n")
            self._process.stdin.flush()

    def wait_for(self, key: str) -> Any:
        """The next answer with this key.

        Raises:
            UsageError: the process has ended instead.
        """
        while (found := self.answers.get()) is not None:
            if key in found:
                return found[key]
            if "error" in found:
                raise UsageError(f"a worker could not begin: {found['error']}")
        raise UsageError(f"a worker could not begin: {self.exit_reason}")

    @property
    def is_gone(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    @property
    def exit_reason(self) -> str:
        """Why it ended, as far as it said."""
        self._process.wait()
        self._listeners[1].join(1)
        said = self._errors[-1] if self._errors else ""
        return reason_of_death(self._process.returncode, said, self._kills)

    def start(self, job: Job) -> None:
        """Give it a job."""
        self.job = job
        self.attempts += 1
        self.follower = RowFollower(run_folder(job.study, job.spec))
        self.send({"job": job.to_json()})

    def end(self) -> None:
        """Close its input and wait until it is gone."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for listener in self._listeners:
            listener.join(1)
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with suppress(ValueError):
            for line in self._process.stdout:
                self.answers.put(json.loads(line))
        self.answers.put(None)

    def _listen_to_errors(self) -> None:
        assert self._process.stderr is not None
        with suppress(ValueError):
            for line in self._process.stderr:
                self._errors = [*self._errors[-20:], line.rstrip()]


class ProcessesExecutor:
    """Processes on this machine, as many as asked for."""

    def __init__(self, request: ExecutorRequest, number: int = 1) -> None:
        """Start so many processes, with the data in hand.

        Raises:
            UsageError: one cannot begin, as without the data or the device.
        """
        self._request = request
        self._devices = devices_of(request.settings.device)
        self._cancelled = False
        self.workers: list[Worker] = []
        self._service = start_service(self._devices[0])
        try:
            try:
                self.grow(number)
            except UsageError:
                if self._service is None:
                    raise
                self.close()  # a service that does not serve, as in some containers
                self.grow(number)
        except BaseException:
            self.close()
            raise

    @property
    def capacity(self) -> int:
        """The number of jobs at once: one a process."""
        return len(self.workers)

    @property
    def threads(self) -> int:
        """CPU threads of each process."""
        settings = self._request.settings
        return threads_of(settings.device, settings.threads, max(1, len(self.workers)))

    @property
    def in_hand(self) -> Set[str]:
        """The ids of the runs that its processes have in hand."""
        return {worker.job.spec.id for worker in self.workers if worker.job is not None}

    def grow(self, number: int) -> None:
        """Start more until there are so many."""
        places = range(len(self.workers), number)
        new = [self._new_worker(self._devices[place % len(self._devices)]) for place in places]
        self.workers += new
        for worker in new:
            worker.wait_for("ready")

    def submit(self, job: Job) -> None:
        """Give a job to a process that has none; it computes on the device of that process."""
        worker = next(worker for worker in self.workers if worker.job is None)
        if worker.is_gone:
            worker = self._replaced(worker)
        worker.start(self._placed(worker, job))

    def events(self, timeout: float) -> list[Event]:
        """What the records of the runs in hand say that is new.

        Raises:
            StorageError: a folder cannot be written.
            UsageError: the data cannot be used; a process cannot be started anew.
        """
        until = time.monotonic() + timeout
        while True:
            found = [event for worker in self.workers for event in self._news_of(worker)]
            if found or time.monotonic() >= until:
                return found
            time.sleep(min(POLL_SECONDS, max(until - time.monotonic(), 0)))

    def cancel(self) -> None:
        """Ask every process to stop its run in order."""
        self._cancelled = True
        for worker in self.workers:
            worker.send({"stop": True})

    def close(self) -> None:
        """End all processes."""
        for worker in self.workers:
            worker.end()
        self.workers = []
        if self._service is not None:
            self._service.end()
            self._service = None

    def images_per_second(self, spec: RunSpec) -> float:
        """What all of them do together, measured on steps that are thrown away.

        A process that the steps kill, as where memory runs out, does nothing and is replaced.
        """
        for worker in self.workers:
            job = self._placed(worker, make_job(self._request.study, spec, self._settings))
            worker.send({"calibration": job.to_json(), "seconds": CALIBRATION_SECONDS})
        speed = 0.0
        for worker in list(self.workers):
            try:
                speed += float(worker.wait_for("images_per_second"))
            except UsageError:
                if not worker.is_gone:
                    raise
                self._replaced(worker)
        return speed

    def peak_bytes(self) -> tuple[int, int]:
        """The most memory that one of them has had, of the machine and of its device."""
        for worker in self.workers:
            worker.send({"memory": "peak"})
        peaks = [worker.wait_for("peak") for worker in self.workers]
        return max(host for host, _ in peaks), max(device for _, device in peaks)

    def grow_while_it_pays(self, spec: RunSpec, runs: int) -> list[tuple[int, float]]:
        """Double the processes as long as they do more work; how many did how much."""
        measured = [(len(self.workers), self.images_per_second(spec))]
        settings = self._request.settings
        largest = min(MAX_JOBS, runs, settings.threads if settings.device == "cpu" else MAX_JOBS)
        while 2 * len(self.workers) <= largest:
            self.grow(2 * len(self.workers))
            measured.append((len(self.workers), self.images_per_second(spec)))
            if measured[-1][1] < MIN_SPEEDUP * measured[-2][1]:
                for worker in self.workers[measured[-2][0] :]:
                    worker.end()
                self.workers = self.workers[: measured[-2][0]]
                break
        return measured

    @property
    def _settings(self) -> JobSettings:
        return self._request.settings

    def _new_worker(self, device: str) -> Worker:
        environment = self._service.environment if self._service is not None else {}
        settings = replace(self._settings, device=device, threads=self.threads)
        request = {"study": str(self._request.study.resolve()), "settings": settings.as_data()}
        return Worker(request, environment)

    def _placed(self, worker: Worker, job: Job) -> Job:
        settings = replace(job.settings, device=worker.device, threads=self.threads)
        return replace(job, settings=settings)

    def _replaced(self, worker: Worker) -> Worker:
        """A new process in the place of one that is gone."""
        worker.end()
        new = self._new_worker(worker.device)
        self.workers[self.workers.index(worker)] = new
        new.wait_for("ready")
        return new

    def _news_of(self, worker: Worker) -> Sequence[Event]:
        if worker.job is None or worker.follower is None:
            return []
        answer: dict[str, Any] | None = {}
        with suppress(queue.Empty):
            answer = worker.answers.get_nowait()
        spec = worker.job.spec
        events: list[Event] = [(spec, row) for row in worker.follower.new_rows()]
        if answer is None:
            return [*events, *self._after_death(worker)]
        if "error" not in answer:
            return events
        if answer["kind"]:
            raise getattr(errors, answer["kind"], UsageError)(answer["error"])
        events.append((spec, said_by_records(worker.job, answer["error"])))
        worker.job, worker.attempts = None, 0
        return events

    def _after_death(self, worker: Worker) -> Sequence[Event]:
        """The run is begun again, in a new process, unless it keeps on killing them."""
        job, reason, attempts = worker.job, worker.exit_reason, worker.attempts
        assert job is not None
        worker.job = None
        folder = run_folder(job.study, job.spec)
        outcome = folder.read_outcome()
        if self._cancelled:
            ended = Outcome(status="interrupted", epochs=0, error=reason)
            return [(job.spec, outcome if outcome is not None else ended)]
        new = self._replaced(worker)
        if outcome is not None and outcome.is_final:
            return [(job.spec, outcome)]
        if attempts < ATTEMPTS:
            new.attempts = attempts
            new.start(job)
            return []
        error = f"its process ended {ATTEMPTS} times: {reason}"
        return [(job.spec, record_failure(job, error))]


def parse_jobs(text: str) -> int | None:
    """A number of runs at once; None for "auto".

    Raises:
        UsageError: neither.

    >>> parse_jobs("4"), parse_jobs("auto")
    (4, None)
    """
    if text == "auto":
        return None
    if not text.isdecimal() or len(text) > 9 or not 1 <= int(text) <= MAX_JOBS:
        raise UsageError(
            f"jobs is the number of runs at once, 1 to {MAX_JOBS}, or auto; got "
            f"{shortened(repr(text))}"
        )
    return int(text)


def _make(request: ExecutorRequest) -> ProcessesExecutor:
    executor = ProcessesExecutor(request, request.jobs or 1)
    if request.jobs is None and request.missing:
        try:
            measured = executor.grow_while_it_pays(request.missing[0], len(request.missing))
        except BaseException:
            executor.close()
            raise
        for number, speed in measured:
            request.say(f"Jobs     {number} at once: {speed:,.0f} images a second")
    return executor


EXECUTOR = ExecutorInfo(
    "processes", "Several runs at once, each in a process on this machine.", "", _make
)
