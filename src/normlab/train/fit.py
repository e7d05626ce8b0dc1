"""The training loop. It yields a row after every epoch; whoever consumes it stores and stops it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from normlab.errors import DivergedError
from normlab.norms.training.parameters import clamp_gates
from normlab.records.run import EpochRow, Measures, RunSpec
from normlab.train.averaging import AveragedWeights, GradientSum
from normlab.train.interrupt import OnBatch, ignore_batch
from normlab.train.metrics import EpochSoFar, measure
from normlab.train.step import Gradients, forward, gradients_of
from normlab.train.step_mode import DEFAULT_STEPS, StepMode

Part = Literal["train", "validation", "test"]
Batches = Iterable[tuple[Float[Tensor, "n 3 h w"], Tensor]]
"""Images, and labels (n,) or, where images are mixed, the shares of the classes (n, classes)."""


class RunData(Protocol):
    """What a run needs of its block's data; normlab.data.load.BlockData is one."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch of training."""

    @property
    def mean(self) -> Tensor:
        """Mean of the training part's pixels in [0, 1], per channel: (3,)."""

    @property
    def std(self) -> Tensor:
        """Standard deviation of the training part's pixels, per channel: (3,)."""

    def train_batches(self, epoch: int, first_step: int = 0) -> Batches:
        """The training part, shuffled and augmented: a pure function of the epoch.

        Of an epoch that goes on, the batches from `first_step` on.
        """

    def plain_batches(self, part: Part) -> Batches:
        """A part in its order, without augmentation."""

    def names(self, part: Part) -> np.ndarray:
        """The id of every image of a part, in its order."""

    def labels(self, part: Part) -> np.ndarray:
        """The class of every image of a part, in its order."""

    def groups(self, part: Part) -> np.ndarray:
        """The group of every image of a part, in its order: copies share one."""


def fit(
    network: nn.Module,
    optimizer: Optimizer,
    schedule: LRScheduler,
    data: RunData,
    spec: RunSpec,
    *,
    first_epoch: int = 1,
    on_batch: OnBatch = ignore_batch,
    observing: Callable[[], AbstractContextManager[None]] = nullcontext,
    steps: StepMode = DEFAULT_STEPS,
    still: Callable[[int], Sequence[nn.Parameter]] = lambda epoch: (),
    averaged: AveragedWeights | None = None,
    so_far: EpochSoFar | None = None,
    gradients: Gradients | None = None,
) -> Iterator[EpochRow]:
    """Train from `first_epoch` to the spec's last, yielding what every epoch did.

    The pass over the validation part is made inside of `observing()`; see
    normlab.train.layer_diagnostics. How the gradients of a batch are computed is said by `steps`;
    see normlab.train.step. `still` gives the parameters that an epoch leaves as they are. Where
    weights are `averaged`, these are the ones that are validated.

    `so_far` is what was trained of the first epoch already. Whenever `on_batch` is called, it says
    where the epoch is, and weights, optimizer and schedule are those after that batch.

    `gradients` take the place of those that `steps` describes, as where several processes share a
    batch; see normlab.train.ranks.

    Raises:
        DivergedError: the mean training loss of an epoch is not finite.
    """
    gradients = gradients or gradients_of(network, spec, steps)
    so_far = EpochSoFar() if so_far is None else so_far
    for epoch in range(first_epoch, spec.epochs + 1):
        batches = data.train_batches(epoch, so_far.steps)
        train, seconds = train_epoch(
            network, optimizer, schedule, batches, spec, gradients, on_batch,
            still(epoch), averaged, so_far,
        )  # fmt: skip
        if not torch.isfinite(torch.tensor(train.loss)):
            raise DivergedError(epoch)
        average = nullcontext() if averaged is None else averaged.within(network)
        with average, observing():
            validation, _ = evaluate(
                network, data.plain_batches("validation"), spec, on_batch=on_batch
            )
        so_far.clear()
        yield EpochRow(
            epoch=epoch,
            learning_rate=schedule.get_last_lr()[0],
            train=train,
            validation=validation,
            seconds=seconds,
            images_per_second=train.images / seconds,
        )


def train_epoch(
    network: nn.Module,
    optimizer: Optimizer,
    schedule: LRScheduler,
    batches: Batches,
    spec: RunSpec,
    gradients: Gradients | None = None,
    on_batch: OnBatch = ignore_batch,
    still: Sequence[nn.Parameter] = (),
    averaged: AveragedWeights | None = None,
    so_far: EpochSoFar | None = None,
) -> tuple[Measures, float]:
    """One pass over the training part, or what is left of it; its running figures and its seconds.

    A step is made after every `spec.accumulate` batches, and after the last one of the epoch.
    Nothing waits for the device between two steps.
    """

    def step() -> None:
        for parameter in still:
            parameter.grad = None  # which an optimizer passes by, its momentum and decay too
        if spec.clip_gradient_norm is not None:
            nn.utils.clip_grad_norm_(network.parameters(), spec.clip_gradient_norm)
        optimizer.step()
        clamp_gates(network)
        schedule.step()
        if averaged is not None:
            averaged.update(network)

    network.train()
    gradients = gradients or gradients_of(network, spec, StepMode(graph=False))
    total = GradientSum(network, spec.accumulate)
    so_far = EpochSoFar() if so_far is None else so_far
    start = time.perf_counter() - so_far.seconds
    for images, labels in batches:
        losses, logits = gradients(images, labels)
        so_far.whole = total.add(len(labels))
        if so_far.whole:
            step()
        largest = labels if labels.dim() == 1 else labels.argmax(1)
        so_far.add(losses, logits.argmax(1), largest, time.perf_counter() - start)
        on_batch(len(labels))
    if total.close():
        step()
        so_far.whole = True
    if so_far.found and so_far.found[0][0].is_cuda:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    return measure(*so_far.figures(), len(spec.data.classes)), seconds


@torch.inference_mode()
def evaluate(
    network: nn.Module,
    batches: Batches,
    spec: RunSpec,
    *,
    batch_statistics: bool = False,
    on_batch: OnBatch = ignore_batch,
) -> tuple[Measures, Float[Tensor, "images classes"]]:
    """The figures and the class probabilities of one part, in evaluation mode.

    With `batch_statistics` the layers normalize with those of each batch, as in training, which
    moves the running ones: the caller keeps a copy of them.
    """
    network.train(batch_statistics)
    collected = []
    for images, labels in batches:
        logits = forward(network, images, spec)
        losses = functional.cross_entropy(logits, labels, reduction="none")
        collected.append((losses, logits.argmax(1), labels, logits.softmax(1)))
        on_batch(len(labels))
    losses, predicted, labels, probabilities = (
        torch.cat(parts) for parts in zip(*collected, strict=True)
    )
    return measure(losses, predicted, labels, len(spec.data.classes)), probabilities
