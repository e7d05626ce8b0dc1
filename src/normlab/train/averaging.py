"""Sums of gradients over several batches, and averages of weights over the steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from normlab.errors import StorageError


class GradientSum:
    """The gradient of the mean loss over the images of several batches (gradient accumulation).

        g = Σ_k n_k·g_k / Σ_k n_k

    with n_k the images of batch k and g_k the gradient of its mean loss. Each batch goes through
    the network by itself, so norms take their statistics over n_k images, not over the sum.
    """

    def __init__(self, network: nn.Module, batches: int) -> None:
        """A sum over so many batches of this network's gradients."""
        self._parameters = list(network.parameters())
        self._batches = batches
        self._sums: dict[int, Tensor] = {}
        self._seen = self._images = 0

    def add(self, images: int) -> bool:
        """Take what is in .grad; True when it is time for a step, and .grad holds the mean.

        Args:
            images: n_k, how many the mean loss was taken over.
        """
        if self._batches == 1:
            return True
        for place, parameter in enumerate(self._parameters):
            if parameter.grad is None:
                continue
            if place in self._sums:
                self._sums[place].add_(parameter.grad, alpha=images)
            else:
                self._sums[place] = parameter.grad * images
        self._seen += 1
        self._images += images
        return self._seen == self._batches and self.close()

    def close(self) -> bool:
        """Put the mean over what was added into .grad; False where there was nothing."""
        if self._seen == 0:
            return False
        for place, parameter in enumerate(self._parameters):
            found = self._sums.get(place)
            parameter.grad = None if found is None else found.div_(self._images)
        self._sums = {}
        self._seen = self._images = 0
        return True


class AveragedWeights:
    """An exponential moving average of a network's weights, for evaluation.

        w̄ ← d_t·w̄ + (1 − d_t)·w        d_t = min(decay, (1 + t)/(10 + t))

    after step t = 1, 2, …, from w̄ = w before the first one. d_t is smaller than `decay` at first,
    so that the initial weights are forgotten in a short training too (as TensorFlow's
    ExponentialMovingAverage does with `num_updates`). Running statistics are averaged as the
    weights are; `precise_statistics` measures them anew for the averaged weights. Whole numbers
    stay the network's own.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Begin with the weights as they are."""
        self.decay = decay
        self.steps = 0
        self._values = [tensor.clone() for tensor in _floating(network)]

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights after another step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self._values, _floating(network), 1 - decay)

    @contextmanager
    def within(self, network: nn.Module) -> Iterator[None]:
        """Let the network have the averaged weights for a while, then its own again."""
        own = _floating(network)
        kept = [tensor.clone() for tensor in own]
        self.give(network)
        try:
            yield
        finally:
            _copy(own, kept)

    def give(self, network: nn.Module) -> None:
        """Put the averaged weights into the network."""
        _copy(_floating(network), self._values)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"steps": self.steps, "values": list(self._values)}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint.

        Raises:
            StorageError: it is of another network.
        """
        values = list(state["values"])
        if [v.shape for v in values] != [v.shape for v in self._values]:
            raise StorageError("the averaged weights of the checkpoint are of another network")
        self.steps = int(state["steps"])
        _copy(self._values, values)


def _floating(network: nn.Module) -> list[Tensor]:
    """Parameters and buffers that can be averaged, in the order of the state."""
    return [t.detach() for t in network.state_dict().values() if t.is_floating_point()]


@torch.no_grad()
def _copy(to: list[Tensor], values: list[Tensor]) -> None:
    for tensor, value in zip(to, values, strict=True):
        tensor.copy_(value)
