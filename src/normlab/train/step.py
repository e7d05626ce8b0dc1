"""The gradients of one batch: as they come, or on a GPU as one CUDA graph.

A network of 0.2 million parameters keeps a GPU busy for less time than Python needs to launch its
kernels. A CUDA graph launches all of them at once: recorded from the third batch of a shape, after
two that ran as they are on a stream of their own (kernels are compiled and chosen in these, and
they are real steps of the training). Recording executes nothing, so no statistic moves twice.
The same kernels run in the same order, with the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from normlab.records.schema import RunSpec

Found = tuple[Float[Tensor, " n"], Float[Tensor, "n classes"]]
Gradients = Callable[[Float[Tensor, "n 3 h w"], Tensor], Found]
"""From images and labels to losses and logits, with the mean loss's gradients in .grad."""
EAGER_BATCHES = 2


@dataclass(frozen=True)
class Steps:
    """How the steps of a training are computed."""

    graph: bool = True
    """On a GPU as CUDA graphs: the same numbers."""
    compiled: bool = False
    """By torch.compile, with normlab's operators inside: the same up to rounding."""


AS_USUAL = Steps()


def gradients_of(network: nn.Module, spec: RunSpec, steps: Steps = AS_USUAL) -> Gradients:
    """How this network gets its gradients; with a CUDA graph where it is on a GPU.

    Where steps are compiled the network itself stays as it is, for evaluation and hooks.
    """
    called: Callable[[Tensor], Tensor] = network
    if steps.compiled:
        torch.compiler.reset()  # of so many networks of one class, the ninth would not be compiled
        called = torch.compile(network)

    def gradients(images: Tensor, labels: Tensor) -> Found:
        network.zero_grad(set_to_none=True)
        logits = forward(called, images, spec)
        losses = functional.cross_entropy(
            logits, labels, reduction="none", label_smoothing=spec.label_smoothing
        )
        losses.mean().backward()
        return losses.detach(), logits.detach()

    on_gpu = next(network.parameters()).is_cuda
    return GraphedGradients(network, gradients) if steps.graph and on_gpu else gradients


def forward(
    network: Callable[[Tensor], Tensor], images: Float[Tensor, "n 3 h w"], spec: RunSpec
) -> Float[Tensor, "n classes"]:
    """Logits in float32, computed in the spec's precision."""
    bfloat16 = spec.precision == "bfloat16"
    with torch.autocast(images.device.type, torch.bfloat16, enabled=bfloat16):
        logits: Tensor = network(images)
    return logits.float()


@dataclass(eq=False)
class _Recorded:
    graph: torch.cuda.CUDAGraph
    images: Tensor
    labels: Tensor
    losses: Tensor
    logits: Tensor


class GraphedGradients:
    """`gradients`, recorded once and played again for every batch of the recorded shape."""

    def __init__(self, network: nn.Module, gradients: Gradients) -> None:
        """Nothing is recorded yet."""
        self._network = network
        self._gradients = gradients
        self._seen = 0
        self._recorded: _Recorded | None = None

    def __call__(self, images: Tensor, labels: Tensor) -> Found:
        """As `gradients`; what is given back is the caller's own."""
        if not self._network.training:
            return self._gradients(images, labels)
        if self._recorded is None and self._seen >= EAGER_BATCHES:
            self._record(images, labels)
        found = self._recorded
        if (
            found is None
            or found.images.shape != images.shape
            or found.labels.shape != labels.shape
        ):
            self._seen += 1
            return self._eagerly(images, labels)
        found.images.copy_(images)
        found.labels.copy_(labels)
        found.graph.replay()
        return found.losses.clone(), found.logits.clone()

    def _eagerly(self, images: Tensor, labels: Tensor) -> Found:
        """On a stream of its own, as what is to be recorded asks for."""
        here = torch.cuda.current_stream()
        aside = torch.cuda.Stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            found = self._gradients(images, labels)
        here.wait_stream(aside)
        return found

    def _record(self, images: Tensor, labels: Tensor) -> None:
        own_images, own_labels = torch.empty_like(images), torch.empty_like(labels)
        own_images.copy_(images)
        own_labels.copy_(labels)
        # Gradients have to come to lie in the graph's own memory.
        self._network.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            losses, logits = self._gradients(own_images, own_labels)
        self._recorded = _Recorded(graph, own_images, own_labels, losses, logits)
