"""Running a study on a terminal: a bar with time left, or a line a run where there is none."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from normlab.data.dataset import Dataset
from normlab.norms.kernels.memory import give_back_freed_memory
from normlab.records.schema import EpochRow, Outcome, RunSpec
from normlab.study.budget import format_seconds
from normlab.study.study import Study
from normlab.study.tuning import is_tuning
from normlab.train.fit import Batches
from normlab.train.interrupt import StopRequest


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
        self.current: RunSpec | None = None
        self.count = len(missing)
        self.runs = 0
        self.finished = 0.0
        self.epochs = 0
        self.images = 0
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
        self.current = spec
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
        self.epochs, self.images = row.epoch, 0
        accuracy = f"selection accuracy {100 * row.selection.accuracy:.1f} %"
        self.note = f"epoch {row.epoch}/{spec.epochs}  {accuracy}"
        self._draw()

    def outcome(self, spec: RunSpec, outcome: Outcome) -> None:
        """A run has ended: print its line."""
        self.finished += self._planned(spec)
        self.runs += 1
        self.current = None
        self.epochs, self.images, self.note = 0, 0, ""
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
        if self.current is None:
            return 0.0
        epochs = self.epochs + min(self.images / self.train_images, 1.0)
        return min(epochs / self.current.epochs, 1.0) * self._planned(self.current)

    def _draw(self) -> None:
        spec = self.current
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
    if outcome.evaluation is None and outcome.selection is not None:
        return f"selection {100 * outcome.selection.accuracy:5.1f} %  {outcome.seconds:5.0f} s"
    if outcome.evaluation is not None:
        return f"accuracy {100 * outcome.evaluation.accuracy:5.1f} %  {outcome.seconds:5.0f} s"
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
) -> Literal["finished", "stopped", "deadline"]:
    """Do what is missing, and say why it ended.

    No run is begun that would end after the deadline (time.monotonic) at the pace so far.
    """
    progress = StudyProgress(console, study.missing(), expected, train_images)
    refused = False

    def may_start(spec: RunSpec) -> bool:
        nonlocal refused
        progress.begin(spec)
        ends = time.monotonic() + progress.expected_seconds(spec)
        refused = deadline is not None and ends > deadline
        return not refused

    with StopRequest().listening() as stop, progress.bar:
        for spec, event in study.run(
            dataset,
            device=device,
            around=lambda b: progress.around(stop.between(b)),
            may_start=may_start,
        ):
            if isinstance(event, EpochRow):
                progress.row(spec, event)
            elif event.status != "interrupted":
                progress.outcome(spec, event)
                give_back_freed_memory()
    if stop.is_set:
        return "stopped"
    return "deadline" if refused else "finished"
