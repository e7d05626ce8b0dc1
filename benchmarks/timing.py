"""Fair timing on a machine that does other things too: candidates take turns, medians are shown.

Every round calls each candidate once, starting one further on than the round before, so that a
slow second of the machine hits all of them. A candidate's ratio is the median over the rounds of
its time divided by the reference's time *in the same round*.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import exp, log

import torch

from normlab.norms.fused.cpu.loader import backend

Candidate = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Seconds a call of one candidate, one value a round."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The first and third quartile."""
        if len(self.seconds) < 2:
            return self.seconds[0], self.seconds[0]
        first, _, third = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return first, third

    def relative_to(self, reference: Timing) -> float:
        """Median of the ratios round by round."""
        pairs = zip(self.seconds, reference.seconds, strict=True)
        return statistics.median(own / other for own, other in pairs)


@dataclass(frozen=True)
class Machine:
    """What the numbers of a benchmark hold for."""

    processor: str
    cores: int
    threads: int
    load: float
    """Runnable processes over the last minute, this one included, before the benchmark began."""
    device: str
    backend: str
    """What serves normlab's plane operators."""
    torch: str
    python: str

    def sentence(self) -> str:
        """One line for the head of a table."""
        return (
            f"{self.processor}, {self.cores} cores, {self.threads} threads, load {self.load:.1f} "
            f"before the start; {self.device}; plane operators: {self.backend}; "
            f"torch {self.torch}, Python {self.python}"
        )


def machine(device: torch.device | str = "cpu") -> Machine:
    """This machine, as it is now."""
    device = torch.device(device)
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan"),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        backend=backend(device),
        torch=torch.__version__,
        python=platform.python_version(),
    )


def take_turns(
    candidates: Mapping[str, Candidate],
    rounds: int,
    *,
    warm_up: int = 2,
    seconds_a_turn: float = 0.0,
    device: torch.device | str = "cpu",
) -> dict[str, Timing]:
    """Time the candidates in turns.

    Args:
        candidates: what to call, by name.
        rounds: turns of each candidate.
        warm_up: calls of each that are not timed; the last one sets the calls a turn.
        seconds_a_turn: repeat short calls within a turn until it takes about so long.
        device: where the work is done; a turn ends when the device has finished.
    """
    calls = dict.fromkeys(candidates, 1)
    for name, candidate in candidates.items():
        for _ in range(warm_up):
            once = _seconds(candidate, 1, device)
            calls[name] = max(1, round(seconds_a_turn / max(once, 1e-9)))
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    names = list(candidates)
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(_seconds(candidates[name], calls[name], device))
    return {name: Timing(name, tuple(values)) for name, values in seconds.items()}


def geometric_mean(ratios: Sequence[float]) -> float:
    """The mean for ratios: twice as fast and twice as slow cancel."""
    return exp(sum(map(log, ratios)) / len(ratios))


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its first column to the left and the others to the right."""
    cells = [list(header), *map(list, rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        first, *others = row
        aligned = [first.ljust(widths[0])]
        aligned += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        return f"| {' | '.join(aligned)} |"

    rule = "|".join(["-" * (widths[0] + 2), *("-" * (w + 1) + ":" for w in widths[1:])])
    return "\n".join([line(cells[0]), f"|{rule}|", *map(line, cells[1:])])


def as_data(machine: Machine, timings: Mapping[str, Timing]) -> dict[str, object]:
    """For --json: the machine and every single time."""
    return {
        "machine": asdict(machine),
        "seconds": {name: timing.seconds for name, timing in timings.items()},
    }


def _seconds(candidate: Candidate, calls: int, device: torch.device | str) -> float:
    _synchronize(device)
    start = time.perf_counter()
    for _ in range(calls):
        candidate()
    _synchronize(device)
    return (time.perf_counter() - start) / calls


def _synchronize(device: torch.device | str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            models = [line.partition(":")[2].strip() for line in file if "model name" in line]
    except OSError:
        models = []
    return models[0] if models else platform.processor() or platform.machine()
