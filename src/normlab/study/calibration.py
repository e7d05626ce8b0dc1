"""Steps of a run that are timed and thrown away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count, islice

import torch

from normlab.data.load import Batch, BlockData
from normlab.records.run import RunSpec
from normlab.train.fit import evaluate, train_epoch
from normlab.train.network import build_network
from normlab.train.optimizers import make_optimizer, make_schedule
from normlab.train.step import EAGER_BATCHES, gradients_of
from normlab.train.step_mode import DEFAULT_STEPS, StepMode


class CalibrationRun:
    """A network in training, past its first steps.

    They pay for allocations and the choice of kernels, on a GPU for the recording of its graph.
    """

    def __init__(
        self,
        spec: RunSpec,
        data: BlockData,
        device: torch.device | str,
        steps: StepMode = DEFAULT_STEPS,
    ) -> None:
        """Train the first steps, computed as those of the runs will be."""
        self._spec = spec
        self._network = build_network(spec, device)
        self._optimizer = make_optimizer(self._network, spec.optimizer)
        self._schedule = make_schedule(
            self._optimizer, spec.schedule, epochs=10_000, steps_per_epoch=1000
        )
        self._gradients = gradients_of(self._network, spec, steps)
        self._batches = endless(data)
        on_gpu = torch.device(device).type == "cuda"
        first = EAGER_BATCHES + 1 if on_gpu else 1
        seconds = self.train(first)
        self.start_seconds = 0.0
        """Seconds of the compilation that every run pays for at its start."""
        if steps.compiled:
            self.start_seconds = max(seconds - first * self.train(), 0.0)

    def train(self, steps: int = 1) -> float:
        """Seconds of so many steps, with their data."""
        batches = islice(self._batches, steps)
        _, seconds = train_epoch(
            self._network, self._optimizer, self._schedule, batches, self._spec, self._gradients
        )
        return seconds

    def evaluate(self) -> float:
        """Seconds of the evaluation of one batch of training's size."""
        batch = next(self._batches)
        start = time.perf_counter()
        evaluate(self._network, [batch], self._spec)
        return time.perf_counter() - start


def endless(data: BlockData) -> Iterator[Batch]:
    """Batches of one epoch after the other."""
    for epoch in count(1):
        yield from data.train_batches(epoch)
