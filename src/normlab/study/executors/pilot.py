"""How many runs share a machine or a GPU: steps of a run, measured where runs will be made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from normlab.study.executors.base import ExecutorRequest
from normlab.study.executors.processes import ProcessesExecutor
from normlab.study.job import Job


@dataclass(frozen=True)
class Measured:
    """What a kind of place did with several runs at once."""

    room: float
    """What one place has to share: the CPUs of a node, or one GPU."""
    places: int
    """How many of the kind there are."""
    speeds: tuple[tuple[int, float], ...]
    """Runs at once, from 1 up, and the images a second of all of them together."""

    def speed(self, share: float) -> float:
        """Images a second of all places of the kind, if each run gets such a share of one.

        Between two numbers that were measured it is the lower one's; beyond the last, the last's.
        """
        fitting = int(self.room / share + 1e-9)
        known = [speed for number, speed in self.speeds if number <= fitting]
        return self.places * known[-1] if known else 0.0


def measure_places(text: str, runs: int) -> list[tuple[int, float]]:
    """Runs at once and their images a second, doubled as long as it pays, on this machine.

    Args:
        text: a job as JSON, with the device and all threads of the place.
        runs: more at once are not tried.
    """
    job = Job.from_json(text)
    executor = ProcessesExecutor(ExecutorRequest(job.study, job.settings, (job.spec,)))
    try:
        return executor.grow_while_it_pays(job.spec, runs)
    finally:
        executor.close()


def best_share(kinds: Sequence[Measured]) -> float:
    """The share of a place with which all places together do most; of equals the largest.

    Every run gets the same share wherever it is made, so places of several kinds are one question.

    >>> small = Measured(1, 3, ((1, 400.0), (2, 380.0)))
    >>> large = Measured(1, 1, ((1, 500.0), (2, 990.0), (4, 1900.0)))
    >>> best_share([small]), best_share([large]), best_share([small, large])
    (1.0, 0.25, 0.25)
    """
    shares = {kind.room / number for kind in kinds for number, _ in kind.speeds}
    return max(sorted(shares, reverse=True), key=lambda share: sum(k.speed(share) for k in kinds))


def as_words(kind: Measured) -> str:
    """The measurement in a line: "1 at once 812, 2 at once 1,450 images a second"."""
    each = [f"{number} at once {speed:,.0f}" for number, speed in kind.speeds]
    return f"{', '.join(each)} images a second"
