"""The gradients of one batch: as they come, or on a GPU as one CUDA graph.

A network of 0.2 million parameters keeps a GPU busy for less time than Python needs to launch its
kernels. A CUDA graph launches all of them at once: recorded from the third batch of a shape, after
two that ran as they are on a stream of their own (kernels are compiled and chosen in these, and
they are real steps of the training). Recording executes nothing, so no statistic moves twice.
The same kernels run in the same order, with the same numbers. A step that waits for the GPU, as one
with somebody's norm that reads a number of a tensor, cannot be recorded and runs as it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from normlab.records.run import RunSpec
from normlab.train.step_mode import DEFAULT_STEPS, StepMode

Found = tuple[Float[Tensor, " n"], Float[Tensor, "n classes"]]
Gradients = Callable[[Float[Tensor, "n 3 h w"], Tensor], Found]
"""Computes losses and logits of a batch, and leaves the mean loss's gradients in .grad."""
EAGER_BATCHES = 2


def gradients_of(network: nn.Module, spec: RunSpec, steps: StepMode = DEFAULT_STEPS) -> Gradients:
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
    gradients: list[tuple[nn.Parameter, Tensor | None]]

    def takes(self, images: Tensor, labels: Tensor) -> bool:
        """Whether the batch has the recorded shapes."""
        return self.images.shape == images.shape and self.labels.shape == labels.shape


class GraphedGradients:
    """`gradients`, recorded once and played again for every batch of the recorded shape."""

    def __init__(self, network: nn.Module, gradients: Gradients) -> None:
        """Record nothing yet: the first batches are run as they are."""
        self._network = network
        self._gradients = gradients
        self._seen = 0
        self._waits: list[str] = []
        self._recorded: _Recorded | None = None

    def __call__(self, images: Tensor, labels: Tensor) -> Found:
        """Give what `gradients` gives, in tensors that are the caller's own."""
        if not self._network.training:
            return self._gradients(images, labels)
        if self._recorded is None and self._seen >= EAGER_BATCHES and not self._waits:
            self._record(images, labels)
        if self._recorded is None or not self._recorded.takes(images, labels):
            return self._as_it_is(images, labels)
        return self._play(self._recorded, images, labels)

    def _as_it_is(self, images: Tensor, labels: Tensor) -> Found:
        """On a stream of its own, as what is to be recorded asks for."""
        self._seen += 1
        last = self._seen == EAGER_BATCHES
        here = torch.cuda.current_stream()
        aside = torch.cuda.Stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside), waits_for_the_gpu(self._waits) if last else nullcontext():
            found = self._gradients(images, labels)
        here.wait_stream(aside)
        if last and self._waits:
            warnings.warn(
                f"{self._waits[0]} waits for the GPU, so training steps are not recorded as a CUDA "
                "graph, which would be faster; compute with tensors there",
                stacklevel=3,
            )
        return found

    def _record(self, images: Tensor, labels: Tensor) -> None:
        own_images, own_labels = torch.empty_like(images), torch.empty_like(labels)
        own_images.copy_(images)
        own_labels.copy_(labels)
        # Gradients have to come to lie in the graph's own memory.
        self._network.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        # Another thread may read batches ahead, into pinned memory, at the same time.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            losses, logits = self._gradients(own_images, own_labels)
        gradients = [(p, p.grad) for p in self._network.parameters()]
        self._recorded = _Recorded(graph, own_images, own_labels, losses, logits, gradients)

    def _play(self, recorded: _Recorded, images: Tensor, labels: Tensor) -> Found:
        recorded.images.copy_(images)
        recorded.labels.copy_(labels)
        recorded.graph.replay()
        # A batch of another shape in between has left gradients elsewhere.
        for parameter, gradient in recorded.gradients:
            parameter.grad = gradient
        return recorded.losses.clone(), recorded.logits.clone()


@contextmanager
def waits_for_the_gpu(found: list[str]) -> Iterator[None]:
    """Collect the places in the code, "file:line", where the CPU waits for the GPU."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        before = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode(before)
    found += [f"{w.filename}:{w.lineno}" for w in seen if "synchronizing" in str(w.message)]
