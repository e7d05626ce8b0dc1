"""How the scheduler holds up with thousands of runs and hundreds of workers, in simulated time.

    python benchmarks/scale.py [--runs 10000] [--workers 1,8,64,512] [--plots build/scale]

The scheduler, the study and its records are the real ones; the workers are simulated: a run takes a
minute on average (log-normal, spread 25 %), 2 in 100 fail on the way, a worker's machine dies every
eight hours on average, which is noticed after 30 s and costs half an epoch. The clock is simulated
too; the seconds of processor time that the driver really needs between two events are added to it.

Goals: efficiency of 10,000 runs at least 95 % with 64 workers and 90 % with 512; the driver within
500 MB; the decision of a look within 1 s. Two studies: one without looks, whose runs all wait at
once; one with a look after every block from the third on, where every block waits for its last run.
"""

from __future__ import annotations

import argparse
import heapq
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import numpy as np

from normlab.records.environment import describe_environment
from normlab.records.plan import StudyPlan, parse_plan, write_plan
from normlab.records.run import Outcome, RunSpec
from normlab.study.design.freeze import freeze
from normlab.study.executors.base import Event
from normlab.study.job import Job, JobSettings
from normlab.study.scheduler import run_study
from normlab.study.study import Study
from records import measures
from timing import machine, markdown_table

MEAN_SECONDS = 60.0
SPREAD = 0.25
FAILING = 0.02
LIFE_SECONDS = 8 * 3600.0
NOTICED_SECONDS = 30.0
EPOCHS = 30
START_SECONDS = 0.4
"""From the end of a run to that of the next, without its epochs, in a process that is there:
measured for runs of a second (median .39 s under Ray, .28 s by --jobs), evaluations included."""


@dataclass
class Clock:
    """Simulated time: what workers take, and what the driver really takes between two events."""

    now: float = 0.0
    driver: float = 0.0
    """Seconds of processor time of the driver, all together."""
    longest: float = 0.0
    """The longest that the driver took between two events: the decision of a look."""
    _since: float = field(default_factory=time.process_time)

    def driver_worked(self) -> None:
        """Add the driver's work since the last event."""
        seconds = time.process_time() - self._since
        self.now += seconds
        self.driver += seconds
        self.longest = max(self.longest, seconds)

    def driver_waits(self) -> None:
        """What follows is the simulation's own work."""
        self._since = time.process_time()


class SimulatedExecutor:
    """Workers that do nothing for the time that a run takes."""

    def __init__(self, study: Study, workers: int, clock: Clock, *, dying: bool) -> None:
        """So many workers, each on a machine of its own."""
        self.capacity = workers
        self.useful = 0.0
        self.lost_machines = 0
        self._study = study
        self._clock = clock
        self._dying = dying
        self._random = np.random.default_rng(0)
        self._environment = describe_environment("cpu", 1, deterministic=False, compiled=False)
        self._out: list[tuple[float, str, RunSpec, bool]] = []

    @property
    def in_hand(self) -> Set[str]:
        """The ids of the runs that have not ended."""
        return {run for _, run, _, _ in self._out}

    def submit(self, job: Job) -> None:
        """Begin a run now."""
        seconds = MEAN_SECONDS * self._random.lognormal(-(SPREAD**2) / 2, SPREAD)
        fails = bool(self._random.random() < FAILING)
        if fails:
            seconds *= self._random.random()
        self.useful += seconds
        ends = self._clock.now + START_SECONDS + seconds
        while self._dying and self._random.random() < seconds / LIFE_SECONDS:
            ends += NOTICED_SECONDS + START_SECONDS + seconds / EPOCHS / 2
            self.lost_machines += 1
        heapq.heappush(self._out, (ends, job.spec.id, job.spec, fails))

    def events(self, timeout: float) -> list[Event]:
        """The next run that ends; the clock goes to there."""
        self._clock.driver_worked()
        ends, _, spec, fails = heapq.heappop(self._out)
        self._clock.now = max(self._clock.now, ends)
        outcome = self._write(spec, fails)
        self._clock.driver_waits()
        return [(spec, outcome)]

    def cancel(self) -> None:
        """Nothing is cancelled here."""

    def close(self) -> None:
        """Nothing is held."""

    def _write(self, spec: RunSpec, fails: bool) -> Outcome:
        """The records that such a run leaves, with accuracies of one level for all arms."""
        level = 0.8 + self._random.normal(0, 0.005)
        run = self._study.run_folder(spec)
        run.create(spec, self._environment)
        end = measures(level)
        if fails:
            outcome = Outcome(status="failed", epochs=0, error="simulated")
        else:
            outcome = Outcome(
                status="finished", epochs=EPOCHS, reported_epoch=EPOCHS, train=end,
                validation=end, test=end, seconds=MEAN_SECONDS,
            )  # fmt: skip
        run.write_outcome(outcome)
        return outcome


def make_plan(runs: int, *, looks: bool) -> StudyPlan:
    """Arms × rates in 20 blocks; without looks, which are asked for here before the first run."""
    blocks = min(20, runs)
    arms = ["bn", "in", "bin", "ln", "none"]
    rates = max(1, runs // (blocks * len(arms)))
    content = {
        "name": "scale",
        "blocks": blocks,
        "data": {"source": "nowhere", "image_size": 32},
        "factors": {
            "norm": arms,
            "learning_rate": [float(f"{10 ** (-k / 40):.6g}") for k in range(rates)],
        },
        "training": {"epochs": EPOCHS},
        "analysis": {"method": 2, "looks": list(range(3, blocks + 1)) if looks else [blocks]},
    }
    return freeze(parse_plan(content), "f" * 64, tuple(f"class {k}" for k in range(10)))


def simulate(runs: int, workers: int, *, looks: bool) -> dict[str, float]:
    """One study from its first run to its decision."""
    with tempfile.TemporaryDirectory() as name, mock.patch("os.fsync"):
        folder = Path(name)
        plan = make_plan(runs, looks=looks)
        write_plan(plan, folder / "study.toml")
        start = time.process_time()
        study = Study.open(folder)
        study.missing()
        opened = time.process_time() - start
        clock = Clock()
        executor = SimulatedExecutor(study, workers, clock, dying=workers > 1)
        settings = JobSettings(source="nowhere")
        ended = sum(1 for _ in run_study(study, executor, settings))
        clock.driver_worked()
    return {
        "runs": ended,
        "planned": runs,
        "workers": workers,
        "hours": clock.now / 3600,
        "efficiency": executor.useful / (workers * clock.now),
        "driver": clock.driver,
        "decision": clock.longest,
        "open": opened,
        "machines": executor.lost_machines,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Print a table for each kind of study, and draw how efficiency and driver grow."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", default="1000,10000")
    parser.add_argument("--workers", default="1,8,64,512")
    parser.add_argument("--plots", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)  # RUNS,WORKERS,LOOKS in a process
    options = parser.parse_args()
    if options.one:
        runs, workers, looks = map(int, options.one.split(","))
        print(json.dumps(simulate(runs, workers, looks=bool(looks))))
        return
    print(machine().sentence())
    found = [
        in_a_process(f"{runs},{workers},{looks}") | {"looks": looks}
        for looks in (0, 1)
        for runs in options.runs.split(",")
        for workers in options.workers.split(",")
    ]
    for looks in (0, 1):
        print("\nwith a look after every block:" if looks else "\nwithout looks:")
        rows = [row(each) for each in found if each["looks"] == looks]
        print(markdown_table(HEAD, rows))
    print("goals, 10,000 runs without looks: 95 % with 64 workers, 90 % with 512; 500 MB; 1 s")
    if options.plots:
        draw(found, options.plots)


HEAD = (
    *("runs made", "workers", "hours", "efficiency", "driver, s a run", "longest decision, s"),
    *("opened anew, s", "machines lost", "peak MB"),
)


def row(found: dict[str, float]) -> tuple[str, ...]:
    """One line of the table."""
    return (
        f"{found['runs']:,.0f}",
        f"{found['workers']:.0f}",
        f"{found['hours']:.2f}",
        f"{found['efficiency']:.1%}",
        f"{found['driver'] / found['runs']:.4f}",
        f"{found['decision']:.2f}",
        f"{found['open']:.2f}",
        f"{found['machines']:.0f}",
        f"{found['peak']:.0f}",
    )


def in_a_process(text: str) -> dict[str, float]:
    """In a process of its own, so that its peak of memory is its own."""
    command = [sys.executable, __file__, "--one", text]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def draw(found: list[dict[str, float]], folder: Path) -> None:
    """Efficiency over workers, and the driver's seconds over runs, as PNG."""
    import altair as alt
    import pandas as pd

    folder.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(found)
    frame["study"] = [
        f"{'looks' if looks else 'no looks'}, {planned:,.0f} runs"
        for looks, planned in zip(frame["looks"], frame["planned"], strict=True)
    ]
    size = {"width": 420, "height": 260}
    efficiency = alt.Chart(frame, title="How much of the workers' time is training").mark_line(
        point=True
    )
    efficiency = efficiency.encode(
        x=alt.X("workers", title="workers", scale=alt.Scale(type="log")),
        y=alt.Y("efficiency", title="efficiency", axis=alt.Axis(format="%")),
        color=alt.Color("study", title=None),
    ).properties(**size)
    driver = alt.Chart(frame, title="The driver's processor time").mark_point(filled=True)
    driver = driver.encode(
        x=alt.X("runs", title="runs made", scale=alt.Scale(type="log")),
        y=alt.Y("driver", title="seconds", scale=alt.Scale(type="log")),
        color=alt.Color("workers:O", title="workers"),
        shape=alt.Shape("looks:N", title="looks"),
    ).properties(**size)
    alt.hconcat(efficiency, driver).resolve_scale(color="independent").save(
        str(folder / "scale.png"), scale_factor=2
    )
    print(folder / "scale.png")


if __name__ == "__main__":
    main()
