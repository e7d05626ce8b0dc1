"""Several runs at once, each in a process of its own; the records on disk are all that they share.

A network of 0.2 million parameters cannot fill a GPU: several train beside each other in hardly
more time. Every process works as one alone would, so the rows are the same. On a CPU the cores are
divided among the processes, and the rows are those of one run with so many threads.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from normlab.errors import UsageError
from normlab.records.run import EpochRow, Outcome, RunSpec
from normlab.records.store import RunFolder
from normlab.study.mps import MultiProcessService, start_service

MOST = 16
WORTH = 1.1
"""Twice the processes must do at least so many times the work, or they are not started."""
CALIBRATION_SECONDS = 3.0


class Worker:
    """One process of `normlab.study.worker`, and the run that it has in hand."""

    def __init__(
        self, study: Path, source: str, device: str, environment: Mapping[str, str]
    ) -> None:
        """Start it; it answers {"ready": true} once it has the data and its device."""
        self.spec: RunSpec | None = None
        self.folder: RunFolder | None = None
        self._epochs = 0
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._errors: list[str] = []
        command = [sys.executable, "-m", "normlab.study.worker"]
        self._process = subprocess.Popen(
            [*command, str(study), source, device, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C comes from us, once
            env={**os.environ, **environment},
        )
        for target in (self._listen, self._listen_to_errors):
            threading.Thread(target=target, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with suppress(ValueError):  # somebody's print is no answer
                self._answers.put(json.loads(line))

    def _listen_to_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors = [*self._errors[-20:], line.rstrip()]

    def tell(self, content: dict[str, Any]) -> None:
        """One line to the process; one that is gone is found out when it does not answer."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(json.dumps(content) + "\n")
            self._process.stdin.flush()

    def hear(self, timeout: float = 0.0) -> dict[str, Any] | None:
        """The next answer, if there is one."""
        with suppress(queue.Empty):
            return self._answers.get(timeout=timeout) if timeout else self._answers.get_nowait()
        return None

    def wait_for(self, key: str) -> Any:
        """The next answer with this key.

        Raises:
            UsageError: the process has ended instead.
        """
        while True:
            found = self.hear(0.2)
            if found is not None and key in found:
                return found[key]
            if found is None and self.is_gone:
                raise UsageError(f"a worker could not begin: {self.last_words}")

    @property
    def is_gone(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    @property
    def last_words(self) -> str:
        """Why it ended, as far as it said."""
        said = self._errors[-1] if self._errors else "it said nothing"
        return f"{said} (exit code {self._process.returncode})"

    def start(
        self, spec: RunSpec, folder: RunFolder, *, evaluate_test: bool, threads: int, compiled: bool
    ) -> None:
        """Give it a run."""
        self.spec, self.folder = spec, folder
        self._epochs = len(folder.read_rows())
        how = {"evaluate_test": evaluate_test, "threads": threads, "compiled": compiled}
        self.tell({"run": spec.model_dump(mode="json"), **how})

    def events(self) -> Iterator[EpochRow | Outcome]:
        """What is new of its run; after the outcome it has none."""
        assert self.folder is not None
        assert self.spec is not None
        found = self.hear() or (self.hear(1.0) if self.is_gone else None)
        ended = self.is_gone or (found is not None and found.get("done") == self.spec.id)
        for row in self.folder.read_rows():
            if row.epoch > self._epochs:
                self._epochs = row.epoch
                yield row
        if ended:
            outcome = self.folder.read_outcome()
            if outcome is None or (self.is_gone and found is None and not outcome.is_final):
                outcome = Outcome(
                    status="failed",
                    epochs=self._epochs,
                    error=f"its process ended: {self.last_words}",
                )
                self.folder.write_outcome(outcome)
            self.spec = self.folder = None
            yield outcome

    def stop(self) -> None:
        """Ask it to end its run in order."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)

    def end(self) -> None:
        """Close its input and wait until it is gone."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()


@dataclass(eq=False)
class Workers:
    """All processes of a study."""

    study: Path
    source: str
    device: str
    cores: int
    all: list[Worker]
    compiled: bool = False
    """Whether steps are compiled."""
    service: MultiProcessService | None = None
    """By which they share a GPU."""

    @classmethod
    def start(cls, study: Path, source: str, device: str, cores: int, number: int) -> Workers:
        """So many processes, with the data in hand."""
        found = cls(study, source, device, cores, [], service=start_service(device))
        try:
            try:
                found.grow(number)
            except UsageError:
                if found.service is None:
                    raise
                found.end()  # a service that does not serve, as in some containers
                found.grow(number)
        except BaseException:
            found.end()
            raise
        return found

    def grow(self, number: int) -> None:
        """Start more until there are so many."""
        environment = self.service.environment if self.service is not None else {}
        place = self.study, self.source, self.device, environment
        new = [Worker(*place) for _ in range(number - len(self.all))]
        self.all += new
        for worker in new:
            worker.wait_for("ready")

    @property
    def threads(self) -> int:
        """Of the CPU, for each."""
        return threads_of(self.device, self.cores, len(self.all))

    def replace_gone(self) -> None:
        """A process that was killed is started anew."""
        alive = [worker for worker in self.all if not worker.is_gone]
        for worker in self.all:
            if worker.is_gone:
                worker.end()
        number, self.all = len(self.all), alive
        self.grow(number)

    def images_per_second(self, spec: RunSpec) -> float:
        """What all of them do together, measured on steps that are thrown away."""
        threads, content = self.threads, spec.model_dump(mode="json")
        for worker in self.all:
            worker.tell(
                {"calibration": content, "seconds": CALIBRATION_SECONDS, "threads": threads}
            )
        return sum(float(worker.wait_for("images_per_second")) for worker in self.all)

    def grow_while_it_pays(self, spec: RunSpec, runs: int) -> list[tuple[int, float]]:
        """Double the processes as long as they do more work; how many did how much."""
        measured = [(len(self.all), self.images_per_second(spec))]
        most = min(MOST, runs, self.cores if self.device == "cpu" else MOST)
        while 2 * len(self.all) <= most:
            self.grow(2 * len(self.all))
            measured.append((len(self.all), self.images_per_second(spec)))
            if measured[-1][1] < WORTH * measured[-2][1]:
                for worker in self.all[measured[-2][0] :]:
                    worker.end()
                self.all = self.all[: measured[-2][0]]
                break
        return measured

    def end(self) -> None:
        """End all."""
        for worker in self.all:
            worker.end()
        self.all = []
        if self.service is not None:
            self.service.end()
            self.service = None


def threads_of(device: str, cores: int, jobs: int) -> int:
    """Threads of the CPU for each of so many processes."""
    return max(1, cores // jobs) if device == "cpu" else max(1, min(4, cores // jobs))


def parse_jobs(text: str) -> int | None:
    """A number of runs at once; None for "auto".

    Raises:
        UsageError: neither.

    >>> parse_jobs("4"), parse_jobs("auto")
    (4, None)
    """
    if text == "auto":
        return None
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise UsageError(f"jobs is the number of runs at once, 1 to {MOST}, or auto; got {text!r}")
    return int(text)
