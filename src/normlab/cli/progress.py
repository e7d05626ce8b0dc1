"""Running a study on a terminal: a bar with time left, or a line a run where there is none."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from normlab.data.dataset import Dataset
from normlab.norms.fused.cpu.memory import give_back_freed_memory
from normlab.records.run import EpochRow, Outcome, RunSpec
from normlab.study.budget import format_seconds
from normlab.study.study import Study
from normlab.study.tuning import is_tuning
from normlab.study.workers import Workers
from normlab.train.fit import Batches
from normlab.train.interrupt import StopRequest
from normlab.train.step import Steps


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
        """In the order in which they began; one, unless runs are made beside one another."""
        self.count = len(missing)
        self.runs = 0
        self.finished = 0.0
        self.epochs: dict[str, int] = {}
        self.images = 0
        """Of the epoch that the one run in this process is in."""
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

    def around(self, batches: Batches) -> Batches:
        """The batches, moving the bar after each."""
        for batch in batches:
            yield batch
            self.images += len(batch[1])
            self._draw()

    def begin(self, spec: RunSpec) -> None:
        """A run is about to start; one that only a widened range has made necessary is counted."""
        self.running[spec.id] = spec
        if is_tuning(spec) and spec.id not in self.expected:
            self.total += self._planned(spec)
            self.count += 1

    def expected_seconds(self, spec: RunSpec) -> float:
        """What a run will take, at the pace so far."""
        return self._planned(spec) * self._pace()

    def _planned(self, spec: RunSpec) -> float:
        """As planned; of a run that only the tuning made known, as long as others of its kind."""
        if spec.id not in self.expected:
            alike = [
                self.expected[other.id] / other.epochs * spec.epochs
                for other in self.missing
                if (other.arm, other.batch_size) == (spec.arm, spec.batch_size)
            ]
            self.expected[spec.id] = sum(alike) / len(alike) if alike else 0.0
        return self.expected[spec.id]

    def row(self, spec: RunSpec, row: EpochRow) -> None:
        """An epoch has ended."""
        self.epochs[spec.id], self.images = row.epoch, 0
        accuracy = f"validation accuracy {100 * row.validation.accuracy:.1f} %"
        self.note = f"epoch {row.epoch}/{spec.epochs}  {accuracy}"
        self._draw()

    def outcome(self, spec: RunSpec, outcome: Outcome) -> None:
        """A run has ended: print its line."""
        self.finished += self._planned(spec)
        self.runs += 1
        self.running.pop(spec.id, None)
        self.images, self.note = 0, ""
        place = f"{self.runs:>3}/{self.count}  {where(spec)}  {spec.arm:<10}"
        self.console.print(
            f"{place} {describe(outcome)}   {format_seconds(self.seconds_left)} left",
            highlight=False,
            markup=False,
        )
        self._draw()

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
            description="" if spec is None else f"{where(spec)}  {spec.arm}  {self.note}",
            left=format_seconds(self.seconds_left),
        )


def where(spec: RunSpec) -> str:
    """The block of a run, or what else it is for."""
    if is_tuning(spec):
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


def run_study(
    study: Study,
    dataset: Dataset,
    expected: Mapping[str, float],
    console: Console,
    *,
    train_images: int,
    device: str,
    deadline: float | None = None,
    jobs: int | None = 1,
    compiled: bool = False,
) -> Literal["finished", "stopped", "deadline"]:
    """Do what is missing, and say why it ended.

    No run is begun that would end after the deadline (time.monotonic) at the pace so far. `jobs`
    runs are made at once, or as many as pay (None).
    """
    missing = study.missing()
    workers = None if jobs == 1 else start_workers(study, dataset, missing, device, jobs, console)
    if workers is not None:
        workers.compiled = compiled
    progress = StudyProgress(console, missing, expected, train_images)
    refused = False

    def may_start(spec: RunSpec) -> bool:
        nonlocal refused
        progress.begin(spec)
        ends = time.monotonic() + progress.expected_seconds(spec)
        refused = deadline is not None and ends > deadline
        return not refused

    try:
        with StopRequest().listening() as stop, progress.bar:
            for spec, event in study.run(
                dataset,
                device=device,
                around=lambda b: progress.around(stop.between(b)),
                may_start=may_start,
                workers=workers,
                steps=Steps(compiled=compiled),
            ):
                if isinstance(event, EpochRow):
                    progress.row(spec, event)
                elif event.status != "interrupted":
                    progress.outcome(spec, event)
                    give_back_freed_memory()
    finally:
        if workers is not None:
            workers.end()
    if stop.is_set:
        return "stopped"
    return "deadline" if refused else "finished"


def start_workers(
    study: Study,
    dataset: Dataset,
    missing: Sequence[RunSpec],
    device: str,
    jobs: int | None,
    console: Console,
) -> Workers:
    """So many processes, or as many as pay, measured on the first run."""
    location, cores = dataset.manifest.location, torch.get_num_threads()
    with console.status("starting the workers"):
        workers = Workers.start(study.folder, location, device, cores, jobs or 1)
        if jobs is None:
            for number, speed in workers.grow_while_it_pays(missing[0], len(missing)):
                console.print(
                    f"Jobs     {number} at once: {speed:,.0f} images a second",
                    markup=False,
                    highlight=False,
                )
    return workers
