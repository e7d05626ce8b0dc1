"""Running a study on a terminal: a bar with time left, or a line a run where there is none."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from normlab.data.dataset import Dataset
from normlab.errors import UsageError
from normlab.records.run import EpochRow, Outcome, RunSpec
from normlab.study.budget import format_seconds
from normlab.study.executors import inline
from normlab.study.executors.base import ExecutorInfo, ExecutorRequest, Held
from normlab.study.executors.processes import parse_jobs
from normlab.study.executors.registry import find_executor
from normlab.study.scheduler import run_study
from normlab.study.study import Study
from normlab.train.interrupt import StopRequest
from normlab.train.step_mode import DEFAULT_STEPS, StepMode


class StudyProgress:
    """Counts expected seconds: those of finished runs and the finished share of this one.

    Time left is the expected rest, scaled by how the expectation has held so far.
    """

    def __init__(
        self,
        console: Console,
        missing: Sequence[RunSpec],
        expected: Mapping[str, float],
        train_images: int,
    ) -> None:
        """The runs in the order in which they come, and the expected seconds of each by id."""
        self.console = console
        self.missing = missing
        self.expected = dict(expected)
        self.train_images = train_images
        self.total = sum(expected.values())
        self.running: dict[str, RunSpec] = {}
        """Runs in the order in which they began; one, unless several are made at once."""
        self.count = len(missing)
        self.runs = 0
        self.finished = 0.0
        self.epochs: dict[str, int] = {}
        self.images = 0
        """Images of the present epoch that the run in this process has trained on."""
        self.note = ""
        self.start = time.monotonic()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:3.0f} %  {task.fields[left]} left"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task("starting", total=max(self.total, 1e-9), left="?")

    def batch(self, images: int) -> None:
        """A batch of so many images is through, in this process."""
        self.images += images
        self._draw()

    def event(self, spec: RunSpec, event: EpochRow | Outcome | Held) -> None:
        """Show what became known of a run: an epoch, its end, or that somebody else has it."""
        if isinstance(event, EpochRow):
            self.row(spec, event)
        elif isinstance(event, Held):
            self.running.pop(spec.id, None)
            self._say(f"Waiting  {run_label(spec)}  {spec.arm}: {event.owner} has it in hand")
        elif event.status != "interrupted":
            self.outcome(spec, event)

    def begin(self, spec: RunSpec) -> None:
        """A run is about to start; one that only a widened range has made necessary is counted."""
        self.running[spec.id] = spec
        if spec.is_tuning and spec.id not in self.expected:
            self.total += self._planned(spec)
            self.count += 1

    def expected_seconds(self, spec: RunSpec) -> float:
        """What a run will take, at the pace so far."""
        return self._planned(spec) * self._pace()

    def _planned(self, spec: RunSpec) -> float:
        """The run's planned seconds; where only the tuning made it known, those of its kind."""
        if spec.id not in self.expected:
            alike = [
                self.expected[other.id] / other.epochs * spec.epochs
                for other in self.missing
                if (other.arm, other.batch_size) == (spec.arm, spec.batch_size)
            ]
            self.expected[spec.id] = sum(alike) / len(alike) if alike else 0.0
        return self.expected[spec.id]

    def row(self, spec: RunSpec, row: EpochRow) -> None:
        """Show that a run has ended an epoch."""
        self.epochs[spec.id], self.images = row.epoch, 0
        accuracy = f"validation accuracy {100 * row.validation.accuracy:.1f} %"
        self.note = f"epoch {row.epoch}/{spec.epochs}  {accuracy}"
        self._draw()

    def outcome(self, spec: RunSpec, outcome: Outcome) -> None:
        """Print the line of a run that has ended."""
        self.finished += self._planned(spec)
        self.runs += 1
        self.running.pop(spec.id, None)
        self.images, self.note = 0, ""
        place = f"{self.runs:>3}/{self.count}  {run_label(spec)}  {spec.arm:<10}"
        self._say(f"{place} {describe(outcome)}   {format_seconds(self.seconds_left)} left")
        self._draw()

    def _say(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False)

    @property
    def seconds_left(self) -> float:
        """Expected seconds until the end."""
        done = self.finished + self._current_seconds()
        return max(self.total - done, 0.0) * self._pace()

    def _pace(self) -> float:
        """Seconds that an expected second has taken so far."""
        done = self.finished + self._current_seconds()
        elapsed = time.monotonic() - self.start
        return elapsed / done if done > 0.02 * self.total else 1.0

    def _current_seconds(self) -> float:
        begun = min(self.images / self.train_images, 1.0)
        shares = {
            run: min((self.epochs.get(run, 0) + begun) / spec.epochs, 1.0)
            for run, spec in self.running.items()
        }
        return sum(shares[run] * self._planned(spec) for run, spec in self.running.items())

    def _draw(self) -> None:
        spec = next(reversed(self.running.values()), None)
        self.bar.update(
            self.task,
            total=max(self.total, 1e-9),
            completed=self.finished + self._current_seconds(),
            description="" if spec is None else f"{run_label(spec)}  {spec.arm}  {self.note}",
            left=format_seconds(self.seconds_left),
        )


def run_label(spec: RunSpec) -> str:
    """The block of a run, or what else it is for."""
    if spec.is_tuning:
        return f"tuning, rate {spec.optimizer.learning_rate:g}"
    return f"block {spec.block + 1}"


def describe(outcome: Outcome) -> str:
    """The outcome in a few words."""
    if outcome.test is None and outcome.validation is not None:
        return f"validation {100 * outcome.validation.accuracy:5.1f} %  {outcome.seconds:5.0f} s"
    if outcome.test is not None:
        return f"accuracy {100 * outcome.test.accuracy:5.1f} %  {outcome.seconds:5.0f} s"
    reason = f": {outcome.error}" if outcome.error else ""
    return f"{outcome.status.replace('_', ' ')}{reason}"


def choose_executor(name: str | None, jobs: str) -> tuple[ExecutorInfo, str, int | None]:
    """Who makes the runs, with the options behind the name, and how many runs at once.

    Raises:
        UnknownNameError: there is no such executor.
        UsageError: this number of jobs cannot be.
    """
    at_once = parse_jobs(jobs)
    info, options = find_executor(name or ("inline" if at_once == 1 else "processes"))
    if info is inline.EXECUTOR and at_once != 1:
        raise UsageError(
            f"the executor inline makes one run at a time, and --jobs is {jobs}; leave one of the "
            "two out"
        )
    return info, options, at_once


def run_with_progress(
    study: Study,
    dataset: Dataset,
    expected: Mapping[str, float],
    console: Console,
    *,
    train_images: int,
    device: str,
    deadline: float | None = None,
    jobs: str = "1",
    executor: str | None = None,
    steps: StepMode = DEFAULT_STEPS,
) -> Literal["finished", "stopped", "deadline"]:
    """Do what is missing, and say why it ended.

    No run is begun that would end after the deadline (time.monotonic) at the pace so far. `jobs`
    runs are made at once, or as many as pay ("auto"), by an executor of this name.
    """
    missing = study.missing()
    info, options, at_once = choose_executor(executor, jobs)
    progress = StudyProgress(console, missing, expected, train_images)
    settings = study.job_settings(source=dataset.manifest.location, device=device, steps=steps)
    refused = False

    def may_start(spec: RunSpec) -> bool:
        nonlocal refused
        progress.begin(spec)
        ends = time.monotonic() + progress.expected_seconds(spec)
        refused = deadline is not None and ends > deadline
        return not refused

    with StopRequest().listening() as stop:

        def on_batch(images: int) -> None:
            progress.batch(images)
            stop.check()

        request = ExecutorRequest(
            study.folder, settings, tuple(missing), at_once, options, dataset, on_batch,
            say=lambda line: console.print(line, markup=False, highlight=False),
        )  # fmt: skip
        if info is inline.EXECUTOR:
            made = info.make(request)
        else:
            with console.status("starting the workers"):
                made = info.make(request)
        try:
            with progress.bar:
                for spec, event in run_study(
                    study, made, settings, may_start=may_start, should_stop=lambda: stop.is_set
                ):
                    progress.event(spec, event)
        finally:
            made.close()
    if stop.is_set:
        return "stopped"
    return "deadline" if refused else "finished"
