"""Steps of a run that are timed and thrown away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count, islice

import torch
from torch import Tensor

from normlab.data.load import EVALUATION_BATCH, Batch, BlockData
from normlab.records.run import RunSpec
from normlab.train.fit import evaluate, train_epoch
from normlab.train.network import build_network
from normlab.train.optimizers import make_optimizer, make_schedule
from normlab.train.step import EAGER_BATCHES, forward, gradients_of
from normlab.train.step_mode import DEFAULT_STEPS, StepMode

TRIED = 2
"""Images of the pass that memory is estimated by: norms over the batch need two."""
LIBRARIES = 200 * 2**20
"""Their code, threads and tables, which come with the first step."""
MARGIN = 1.5
MAPS = 3
"""Of an evaluation at once: a layer's input, its output and what is added to it."""
COPIES = 4
"""Of the weights: themselves, gradients, and up to two means of an optimizer."""


def step_bytes(spec: RunSpec) -> int:
    """Memory that a training step on a CPU needs, estimated by a forward pass of two images.

    What autograd keeps for the backward pass is in proportion to the images of a batch; with
    gradients and working memory it is taken for MARGIN times that. An evaluation keeps nothing, and
    may have more images at once. Where the pass breaks it is 0: so will the run. (Chen et al. 2016,
    section 3; how near it comes: benchmarks/step_memory.py.)
    """
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    try:
        network = build_network(spec, "cpu", load_weights=False).train()
        of_network = {p.untyped_storage().data_ptr() for p in network.parameters()}
        side = spec.data.image_size
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            forward(network, torch.zeros(TRIED, 3, side, side), spec)
    except (RuntimeError, MemoryError):
        return 0
    maps = [
        tensor.untyped_storage().nbytes() / TRIED
        for at, tensor in kept.items()
        if at not in of_network
    ]
    training = MARGIN * spec.batch_size * sum(maps)
    evaluation = MAPS * EVALUATION_BATCH * max(maps, default=0)
    weights = sum(p.nbytes for p in network.parameters())
    return LIBRARIES + round(max(training, evaluation)) + COPIES * weights


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
