"""What a study would ask of a cluster: measured on this machine, before anything is handed in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from normlab.data.dataset import Dataset
from normlab.data.load import block_data
from normlab.records.run import RunSpec
from normlab.study.budget import GUESS, Cost, CostKey, cost_key, run_seconds
from normlab.study.calibration import step_bytes
from normlab.study.executors.base import ExecutorRequest
from normlab.study.executors.processes import ProcessesExecutor
from normlab.study.job import JobSettings
from normlab.train.network import build_network

MEMORY_STEP = 256 * 2**20
"""Memory is asked for in whole quarters of a GiB …"""
MEMORY_RESERVE = 1.25
"""… with this much to spare: the peak of an evaluation was not measured."""
TIME_RESERVE = 1.5
LEAST_MINUTES = 10
"""Of a job's time: one that starts up for half of it is a waste."""
PROBABILITY_BYTES = 4


@dataclass(frozen=True)
class Needs:
    """Measured on this machine, with one thread a run on a CPU, or one run on a GPU."""

    runs: int
    """That are missing, with those of a tuning as far as they are known."""
    at_once: int
    """That could all be made now; after them comes a look, or the next block."""
    longest: float
    """Seconds of the longest run."""
    seconds: float
    """Of all runs, one after the other."""
    memory: int
    """Bytes of main memory of a process that makes runs, at its peak."""
    device_memory: int
    """Bytes of a GPU's."""
    image_bytes: int
    """Prepared images, which every node reads."""
    run_bytes: int
    """What a run leaves: weights and probabilities, while it runs thrice as much."""
    broken: tuple[str, ...] = ()
    """Arms whose steps break here, as where memory runs out: their time is not known, and their
    memory is estimated."""

    @property
    def asked_memory(self) -> int:
        """Bytes to ask for."""
        return MEMORY_STEP * math.ceil(MEMORY_RESERVE * self.memory / MEMORY_STEP)

    @property
    def asked_minutes(self) -> int:
        """Minutes of a job; what takes longer goes on in another one."""
        return max(LEAST_MINUTES, math.ceil(TIME_RESERVE * self.longest / 60))


class Measured(NamedTuple):
    """Of some steps of every kind of run, made by a process of their own."""

    costs: dict[CostKey, Cost]
    memory: int
    device_memory: int
    """Bytes at the peak, of the machine and of its device."""


def measure_apart(
    folder: Path, kinds: Mapping[CostKey, RunSpec], settings: JobSettings
) -> Measured:
    """Train some steps of every kind of run in a process of its own, and look at its memory.

    Evaluating a picture is taken for three tenths of training on it. A kind whose steps break, or
    kill the process, costs nothing: its runs become outcomes at once.

    Args:
        folder: the study's, which has its plan.
        kinds: a run of every kind.
        settings: how the study's jobs are made.

    Raises:
        UsageError: the process cannot begin.
    """
    executor = ProcessesExecutor(ExecutorRequest(folder, settings, tuple(kinds.values())))
    try:
        costs = {key: _cost(executor.images_per_second(spec)) for key, spec in kinds.items()}
        return Measured(costs, *executor.peak_bytes())
    finally:
        executor.close()


def measure_needs(
    folder: Path,
    missing: Sequence[RunSpec],
    at_once: int,
    dataset: Dataset,
    settings: JobSettings,
) -> Needs:
    """What the missing runs need, by `measure_apart`.

    Args:
        folder: the study's, which has its plan.
        missing: its runs that are missing; at least one.
        at_once: how many of them could be made now.
        dataset: the study's.
        settings: how its jobs are made.

    Raises:
        UsageError: the process cannot begin.
    """
    kinds = {cost_key(spec): spec for spec in missing}
    costs, memory, device_memory = measure_apart(folder, kinds, settings)
    data = block_data(dataset, missing[0], "cpu")
    seconds = [run_seconds(spec, costs[cost_key(spec)], data) for spec in missing]
    broken = [spec for key, spec in kinds.items() if not costs[key].train]
    if settings.device == "cpu":
        memory = max([memory, *map(step_bytes, broken)])
    return Needs(
        runs=len(missing),
        at_once=at_once,
        longest=max(seconds),
        seconds=sum(seconds),
        memory=memory,
        device_memory=device_memory,
        image_bytes=int(dataset.images.nbytes),
        run_bytes=max(_run_bytes(spec, data.sizes) for spec in kinds.values()),
        broken=tuple(dict.fromkeys(spec.arm for spec in broken)),
    )


def _cost(images_per_second: float) -> Cost:
    """Of nothing where the steps break: such a run becomes an outcome at once."""
    train = 1 / images_per_second if images_per_second else 0.0
    return Cost(train=train, evaluate=train * GUESS.evaluate / GUESS.train)


def _run_bytes(spec: RunSpec, sizes: tuple[int, int, int]) -> int:
    state = build_network(spec, load_weights=False).state_dict().values()
    evaluated = sum(sizes[1:]) * len(spec.data.classes) * PROBABILITY_BYTES
    return sum(int(tensor.nbytes) for tensor in state) + evaluated
