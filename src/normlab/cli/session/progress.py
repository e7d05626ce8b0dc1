"""Running a study on a terminal: a table of its arms in place, or a line a run in a log."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Literal, NamedTuple

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.live import Live

from normlab.cli.screen.console import say
from normlab.cli.screen.live import Picture, draw
from normlab.cli.screen.standing import Standing, decided_words
from normlab.data.dataset import Dataset
from normlab.errors import UsageError
from normlab.records.run import EpochRow, Outcome, RunSpec
from normlab.records.store import read_runs
from normlab.report.page.live import LivePage
from normlab.stats.inference.sequential import planned_looks, sequential_layouts
from normlab.stats.inference.verdict import best_arms
from normlab.study.executors import inline
from normlab.study.executors.base import ExecutorInfo, ExecutorRequest, Held
from normlab.study.executors.processes import parse_jobs
from normlab.study.executors.registry import find_executor
from normlab.study.scheduler import run_study
from normlab.study.study import Study
from normlab.text import format_seconds
from normlab.train.interrupt import StopRequest
from normlab.train.step_mode import DEFAULT_STEPS, StepMode

Ended = Literal["finished", "stopped", "deadline"]


class Sitting(NamedTuple):
    """How a sitting at a study ended."""

    ended: Ended
    seconds_left: float
    """What is expected to be left of the study."""


"""How the work on a study ended: it is done; somebody stopped it; no further run would be in time.
"""
STOPPING = "stopping after this batch; again to quit now"
LEAST_SECONDS = 5.0
"""Before a deadline a run is begun if it has so many seconds, or those of an epoch."""
REDRAWN = 3.0
"""Times a second that the table is drawn anew."""
ARMS_IN_A_LINE = 12
"""Arms of a ranking that a terminal shows in a line; a log has them all."""


class StudyProgress:
    """What is shown of a study that runs.

    It counts expected seconds: those of finished runs and the finished share of this one. Time left
    is the expected rest, scaled by how the expectation has held so far.
    """

    def __init__(
        self,
        console: Console,
        study: Study,
        expected: Mapping[str, float],
        train_images: int,
    ) -> None:
        """A study with runs to make, and the expected seconds of each of them by id."""
        self.console = console
        self.study = study
        self.missing = study.missing()
        self.expected = dict(expected)
        self.train_images = train_images
        self.total = sum(expected.values())
        self.running: dict[str, RunSpec] = {}
        """Runs in the order in which they began; one, unless several are made at once."""
        self.count = len(self.missing)
        self.runs = 0
        self.finished = 0.0
        self.epochs: dict[str, int] = {}
        self._before = begun_epochs(study, self.missing)
        self.notes: dict[str, str] = {}
        self.images = 0
        """Images of the present epoch that the run in this process has trained on."""
        self.notice = ""
        self._left_out: set[str] = set()
        self.start = time.monotonic()
        self.standing = Standing(study.plan, study.specs())
        for record in read_runs(study.folder, rows=False):
            if record.outcome is not None and record.outcome.is_final:
                self.standing.add(record.spec, record.outcome)
        self._drop()
        self.standing.newly_complete()
        self._setting = next(iter(self.standing.arms), "")

    def shown(self) -> contextlib.AbstractContextManager[object]:
        """A context in which the table is on the terminal; nothing where there is none."""
        if not self.console.is_terminal:
            return contextlib.nullcontext()
        return Live(
            get_renderable=self.picture,
            console=self.console,
            transient=True,
            refresh_per_second=REDRAWN,
        )

    def picture(self) -> RenderableType:
        """The table and the bar, as they are now; called from the thread that draws."""
        running = list(self.running.values())
        last = running[-1] if running else None
        if last is not None:
            self._setting = self.standing.key(last)[0]
        picture = Picture(
            metric=self.study.plan.analysis.metric,
            rows=self.standing.rows(self._setting),
            blocks=self.study.plan.blocks,
            setting=self._setting if len(self.standing.arms) > 1 else "",
            running={
                spec.arm: f"{run_label(spec)}  {self.notes.get(spec.id, '')}"
                for spec in running
                if self.standing.key(spec)[0] == self._setting
            },
            doing="" if last is None else f"{run_label(last)}  {last.arm}",
            share=min(self._done() / max(self.total, 1e-9), 1.0),
            left=format_seconds(self.seconds_left),
            notice=self.notice,
        )
        return draw(picture, self.console.width, self.console.height)

    def status(self) -> str:
        """How far it has come, in a line."""
        now = next(reversed(list(self.running.values())), None)
        doing = "starting" if now is None else f"{run_label(now)}, {now.arm}"
        left = format_seconds(self.seconds_left)
        return f"{doing} · {self.runs} of {self.count} runs ended · about {left} left"

    def batch(self, images: int) -> None:
        """A batch of so many images is through, in this process."""
        self.images += images

    def event(self, spec: RunSpec, event: EpochRow | Outcome | Held) -> None:
        """Show what became known of a run: an epoch, its end, or that somebody else has it."""
        if isinstance(event, EpochRow):
            self.row(spec, event)
        elif isinstance(event, Held):
            self.running.pop(spec.id, None)
            line = f"{run_label(spec)}  {spec.arm}: {event.owner} has it in hand"
            say(self.console, f"waiting  {line}")
        elif event.status != "interrupted":
            self.outcome(spec, event)

    def begin(self, spec: RunSpec) -> None:
        """A run is about to start; one that only a widened range has made necessary is counted."""
        self.running[spec.id] = spec
        if spec.is_tuning and spec.id not in self.expected:
            self.total += self._planned(spec)
            self.count += 1

    def epoch_seconds(self, spec: RunSpec) -> float:
        """What an epoch of a run takes, at the pace so far."""
        left = max(spec.epochs - self._before.get(spec.id, 0), 1)
        return self._planned(spec) / left * self._pace()

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
        """Note that a run has ended an epoch."""
        self.epochs[spec.id], self.images = row.epoch, 0
        accuracy = f"validation {100 * row.validation.accuracy:.1f} %"
        self.notes[spec.id] = f"epoch {row.epoch}/{spec.epochs}  {accuracy}"

    def outcome(self, spec: RunSpec, outcome: Outcome) -> None:
        """A run has ended: a line in a log, and where it is the last of its block, the ranking."""
        self.finished += self._planned(spec)
        self.runs += 1
        self.running.pop(spec.id, None)
        self.images = 0
        self.standing.add(spec, outcome)
        if not self.console.is_terminal or outcome.error is not None:
            several = len(self.standing.arms) > 1 and not spec.is_tuning
            setting = f"{self.standing.key(spec)[0]}  " if several else ""
            place = f"{self.runs:>3}/{self.count}  {run_label(spec)}  {setting}{spec.arm:<10}"
            left = format_seconds(self.seconds_left)
            say(self.console, f"{place} {describe(outcome)}   {left} left")
        for block in self.standing.newly_complete():
            self._say_ranking(block)

    def _say_ranking(self, block: int) -> None:
        """How the arms stand after a block; after the last one the answer follows at once."""
        several = max(len(arms) for arms in self.standing.arms.values()) > 1
        if block + 1 >= self.study.plan.blocks or not several:
            return
        words = self._drop()
        looked = block + 1 >= planned_looks(self.study.plan)[0]
        took = format_seconds(time.monotonic() - self.start)
        place = f"after block {block + 1} of {self.study.plan.blocks} ({took})"
        for setting in self.standing.arms:
            word = "too early to say"
            if self.standing.only_guess(setting):
                word = "all at chance level: nothing is learned so far"
            elif looked:
                word = words.get(setting, word)
            where = f"{setting}   " if len(self.standing.arms) > 1 else ""
            self._say_in_lines(place, f"{where}{self.standing.ranking(setting)}", word)

    def _say_in_lines(self, *parts: str) -> None:
        """In one line where it fits or where there is no terminal, else a line a part."""
        line = "   ".join(parts)
        if not self.console.is_terminal or cell_len(line) <= self.console.width:
            say(self.console, line)
            return
        place, ranking, word = parts
        shown = ranking.split("   ")
        if len(shown) > ARMS_IN_A_LINE:
            ranking = "   ".join([*shown[:ARMS_IN_A_LINE], f"… {len(shown) - ARMS_IN_A_LINE} more"])
        say(self.console, f"{place}   {word}")
        self.console.print(f"   {ranking}", markup=False, highlight=False)

    def _drop(self) -> dict[str, str]:
        """Read what the looks have decided so far: setting → words; dropped arms are noted."""
        runs = read_runs(self.study.folder, rows=False)
        words = {}
        for layout, decisions in sequential_layouts(self.study.plan, list(runs)):
            label = layout.setting.label
            self.standing.drop(label, decisions.dropped, layout.skipped)
            self._leave_out({(label, arm, block) for arm, block in layout.skipped})
            if decisions.passed:
                arms = self.standing.arms.get(label, [])
                words[label] = decided_words(arms, best_arms(arms, decisions.comparisons))
        return words

    def _leave_out(self, cells: Set[tuple[str, str, int]]) -> None:
        """Runs that a look has made unnecessary take no time."""
        for spec in self.missing:
            cell = (*self.standing.key(spec), spec.block)
            if cell in cells and spec.id not in self._left_out:
                self._left_out.add(spec.id)
                self.total -= self._planned(spec)
                self.count -= 1

    @property
    def seconds_left(self) -> float:
        """Expected seconds until the end."""
        return max(self.total - self._done(), 0.0) * self._pace()

    def _pace(self) -> float:
        """Seconds that an expected second has taken so far."""
        done = self._done()
        elapsed = time.monotonic() - self.start
        return elapsed / done if done > 0.02 * self.total else 1.0

    def _done(self) -> float:
        """Expected seconds of what has been done."""
        begun = min(self.images / self.train_images, 1.0)
        running = list(self.running.values())
        shares = (min(self._share(s, begun), 1.0) for s in running)
        current = (x * self._planned(s) for x, s in zip(shares, running, strict=True))
        return self.finished + sum(current)

    def _share(self, spec: RunSpec, begun: float) -> float:
        """How much is done of what was left of a run."""
        before = self._before.get(spec.id, 0)
        done = self.epochs.get(spec.id, before) - before + begun
        return done / max(spec.epochs - before, 1)

    def stopping(self) -> None:
        """Somebody has asked to stop: say so at once, from inside of the signal's handler."""
        self.notice = STOPPING
        if not self.console.is_terminal:  # else the thread that draws says it
            with contextlib.suppress(OSError, ValueError):
                os.write(sys.stderr.fileno(), f"{STOPPING}\n".encode())


def begun_epochs(study: Study, specs: Sequence[RunSpec]) -> dict[str, int]:
    """The epochs that runs have behind them which were cut off: run → epochs."""
    folders = {spec.id: study.run_folder(spec) for spec in specs}
    found = {run: len(f.read_rows()) for run, f in folders.items() if f.path.exists()}
    return {run: epochs for run, epochs in found.items() if epochs}


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
    page: LivePage | None = None,
    tell: Callable[[RunSpec], None] = lambda spec: None,
) -> Sitting:
    """Do what is missing, and say why it ended.

    At the deadline (time.monotonic) runs stop between two batches, to go on in another sitting;
    none is begun that would not end an epoch before it, at the pace so far, and has no seconds
    either. `jobs` runs are made at once, or as many as pay ("auto"), by an executor of this name.
    The `page` that is looked at meanwhile says how far it has come; `tell` hears of every run of
    which something is new.
    """
    info, options, at_once = choose_executor(executor, jobs)
    progress = StudyProgress(console, study, expected, train_images)
    if page is not None:
        page.status = progress.status
    settings = study.job_settings(source=dataset.manifest.location, device=device, steps=steps)
    if deadline is not None:
        settings = replace(settings, stop_at=time.time() + deadline - time.monotonic())
    cut = False

    def may_start(spec: RunSpec) -> bool:
        nonlocal cut
        progress.begin(spec)
        needed = min(progress.epoch_seconds(spec), LEAST_SECONDS)
        cut = deadline is not None and time.monotonic() + needed > deadline
        return not cut

    with StopRequest(progress.stopping).listening() as stop:

        def on_batch(images: int) -> None:
            progress.batch(images)
            stop.check()

        request = ExecutorRequest(
            study.folder, settings, tuple(progress.missing), at_once, options, dataset, on_batch,
            say=lambda line: say(console, line),
        )  # fmt: skip
        if info is inline.EXECUTOR:
            made = info.make(request)
        else:
            with console.status("starting the workers"):
                made = info.make(request)
        try:
            with progress.shown():
                for spec, event in run_study(
                    study, made, settings, may_start=may_start, should_stop=lambda: stop.is_set
                ):
                    progress.event(spec, event)
                    tell(spec)
                    cut = cut or (isinstance(event, Outcome) and event.status == "interrupted")
        finally:
            made.close()
    if stop.is_set:
        return Sitting("stopped", progress.seconds_left)
    return Sitting("deadline" if cut else "finished", progress.seconds_left)
