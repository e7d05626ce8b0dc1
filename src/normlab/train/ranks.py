"""One run by several processes, its ranks: each computes a part of every batch.

The batch stays what the spec says. A rank computes the losses of its part (those images that
`torch.tensor_split` gives it, so that a ragged batch has parts of unequal size, or of none), and
the gradients of their sum divided by the size of the whole batch. Added over the ranks,

    Σ_r ∇ (Σ_{i in part r} loss_i) / n  =  ∇ (Σ_i loss_i) / n,

they are those of one process up to rounding, whatever the parts' sizes; a mean of means would not
be. Losses and logits travel in the same message, and so do the buffers, of which every rank gets
the mean: after each step all ranks hold the same numbers, so that any of them can be stored or
lost. Every rank then evaluates and ends by the same rows; the first one alone writes.

What is not equal to one process is a norm over each rank's own part of the batch (`local`): another
treatment, which belongs to the spec.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Literal

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from normlab.errors import InterruptedRunError, UsageError
from normlab.networks.statistics import Shape, statistics_of
from normlab.norms.base import RunningNormalization
from normlab.norms.training.synchronize import synchronize
from normlab.records.run import RunSpec
from normlab.records.store import RunFolder
from normlab.train.early_stopping import patience_is_over
from normlab.train.fit import RunData, fit
from normlab.train.interrupt import OnBatch
from normlab.train.network import build_network, view_of
from normlab.train.state import TrainingState
from normlab.train.step import Found, Gradients, forward

Kind = Literal["exact", "synchronized", "local"]
TIMEOUT = timedelta(minutes=10)
"""Of one message between ranks; a rank that is gone is noticed at once."""


def kind_over_ranks(norm: nn.Module, shape: Shape) -> Kind:
    """What several ranks make of a norm whose input is (N, C, H, W).

    "exact": it takes nothing over the batch, and is the same on any number of ranks.
    "synchronized": it can take its statistics over the batches of all ranks.
    "local": it takes them over its own rank's batch alone.

    >>> kind_over_ranks(nn.GroupNorm(2, 8), (4, 8, 6, 6))
    'exact'
    >>> kind_over_ranks(nn.BatchNorm2d(8), (4, 8, 6, 6))
    'local'
    """
    if isinstance(norm, RunningNormalization) and norm.pools_over_ranks:
        over = statistics_of(norm, shape).over
        return "synchronized" if over in ("batch", "unknown") else "exact"
    return "local" if statistics_of(norm, shape).over in ("batch", "unknown") else "exact"


@contextmanager
def group_of_ranks(device: str) -> Iterator[None]:
    """Meet the other ranks that torchrun has started, inside of the block.

    Raises:
        UsageError: they cannot meet, or torchrun has not started this process.
    """
    from torch._C._distributed_c10d import PrefixStore, TCPStore  # not in every build of torch

    backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
    try:
        facts = {name: int(os.environ[name]) for name in ("MASTER_PORT", "RANK", "WORLD_SIZE")}
        # torchrun's store outlives a restart, and gloo would call ranks of before by their old
        # addresses: every start has names of its own.
        start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        agent = TCPStore(
            os.environ["MASTER_ADDR"], facts["MASTER_PORT"], is_master=False, timeout=TIMEOUT
        )
        distributed.init_process_group(
            backend,
            store=PrefixStore(f"start {start}", agent),
            rank=facts["RANK"],
            world_size=facts["WORLD_SIZE"],
            timeout=TIMEOUT,
        )
    except (KeyError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"the ranks cannot meet ({reason}); start them by torchrun") from error
    try:
        yield
    finally:
        distributed.destroy_process_group()


def is_rank() -> bool:
    """Whether this process has met others that train a run with it."""
    return distributed.is_available() and distributed.is_initialized()


class Ranks:
    """This process among those that train one run together."""

    def __init__(self, spec: RunSpec, on_batch: OnBatch) -> None:
        """`on_batch` raises an InterruptedRunError where this rank was asked to stop.

        Raises:
            UsageError: there are more or fewer ranks than the spec says.
        """
        there = distributed.get_world_size() if distributed.is_initialized() else 1
        if there != spec.ranks:
            raise UsageError(f"the run is planned on {spec.ranks} ranks, and there are {there}")
        self.rank = distributed.get_rank()
        self._on_batch = on_batch
        self._stopping: bool | None = None
        """What the ranks have agreed on in the step just made; None where it was looked at."""

    def agree(self, go: bool) -> bool:
        """Whether the first rank goes on; the others wait for what it says."""
        said = torch.tensor([float(go)])
        distributed.broadcast(said, 0)
        return bool(said)

    def join(self, network: nn.Module, spec: RunSpec) -> Gradients:
        """How this rank and the others compute the gradients of a batch."""
        if spec.norm_batch == "synchronized":
            synchronize(network)

        def gradients(images: Tensor, labels: Tensor) -> Found:
            own = torch.arange(len(images)).tensor_split(spec.ranks)[self.rank]
            part = slice(int(own[0]), int(own[-1]) + 1) if len(own) else slice(0, 0)
            network.zero_grad(set_to_none=True)
            with _losing_ranks():
                logits = forward(network, images[part], spec)
                losses = functional.cross_entropy(
                    logits, labels[part], reduction="none", label_smoothing=spec.label_smoothing
                )
                (losses.sum() / len(images)).backward()
                self._stopping = self._any_asked()
                return _shared(network, losses, logits, part, len(images), spec.ranks)

        return gradients

    def leave(self, network: nn.Module) -> None:
        """From here on this rank computes alone."""
        for module in network.modules():
            if isinstance(module, RunningNormalization):
                module.synchronized = False

    def on_batch(self, images: int) -> None:
        """Stop where all ranks stop: after the step in which one of them was asked to.

        Between two steps, as in an evaluation, nobody waits for another, and so nobody stops.
        """
        if self._stopping:
            raise InterruptedRunError("stopped between two batches")
        self._stopping = None

    def _any_asked(self) -> bool:
        asked = torch.zeros(1)
        try:
            self._on_batch(0)
        except InterruptedRunError:
            asked += 1
        distributed.all_reduce(asked)
        return bool(asked)


@contextmanager
def _losing_ranks() -> Iterator[None]:
    """A message that breaks off because a rank is gone stops the run, which goes on with all."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        reason = str(error).splitlines()[0]
        raise InterruptedRunError(f"a rank was lost: {reason}") from error


@torch.no_grad()
def _shared(
    network: nn.Module, losses: Tensor, logits: Tensor, part: slice, images: int, ranks: int
) -> Found:
    """The losses and logits of the whole batch; gradients become sums, buffers means over ranks."""
    all_losses = losses.new_zeros(images)
    all_logits = logits.new_zeros(images, logits.shape[1])
    all_losses[part], all_logits[part] = losses.detach(), logits.detach()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    buffers = [b for b in network.buffers() if b.is_floating_point()]
    shared = [*gradients, *buffers, all_losses, all_logits]
    message = torch.cat([tensor.reshape(-1) for tensor in shared])
    distributed.all_reduce(message)
    for tensor, found in zip(shared, message.split([t.numel() for t in shared]), strict=True):
        tensor.copy_(found.view(tensor.shape))
    for buffer in buffers:
        buffer /= ranks
    return all_losses, all_logits


def follow(
    spec: RunSpec, data: RunData, folder: RunFolder, device: torch.device | str, ranks: Ranks
) -> None:
    """Train a run beside the first rank, which executes it: the same steps, and nothing is written.

    Raises:
        InterruptedRunError: a rank was asked to stop, or was lost.
    """
    if not ranks.agree(False):
        return
    network = build_network(spec, device)
    state = TrainingState(spec, data, folder, network, view_of(network, spec))
    rows = [row for row in folder.read_rows() if row.epoch <= state.epoch]
    if patience_is_over(rows, spec.patience):
        return
    for row in fit(
        network,
        state.optimizer,
        state.schedule,
        data,
        spec,
        first_epoch=state.epoch + 1,
        on_batch=ranks.on_batch,
        still=state.tuning.still,
        averaged=state.averaged,
        so_far=state.so_far,
        gradients=ranks.join(network, spec),
    ):
        rows.append(row)
        if patience_is_over(rows, spec.patience):
            return
