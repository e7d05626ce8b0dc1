"""Seconds of a training step for several norms, measured in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

import torch
from torch.nn import functional

from normlab.networks.registry import checked, make_network
from normlab.norms.fused.cpu.memory import keep_freed_memory
from normlab.norms.training.parameters import clamp_gates
from normlab.records.run import NetworkSpec

CLASSES = 10


def step_times(
    norms: Sequence[str], model: str, image_size: int, batch_size: int, rounds: int, device: str
) -> dict[str, float]:
    """Median seconds of a whole step (forward, loss, backward, SGD with momentum) of each norm.

    The norms take turns, so that whatever else the machine does falls on all of them alike.
    """
    network = checked(NetworkSpec.model_validate(model))
    keep_freed_memory()  # as training does
    images = torch.randn(batch_size, 3, image_size, image_size, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(CLASSES, (batch_size,), device=device)
    steps = {norm: _step(network, norm, images, labels) for norm in norms}
    times: dict[str, list[float]] = {norm: [] for norm in norms}
    for number in range(rounds + 1):
        for norm, step in steps.items():
            start = time.perf_counter()
            step()
            if images.is_cuda:
                torch.cuda.synchronize()
            if number > 0:  # the first step pays for allocations and for choosing kernels
                times[norm].append(time.perf_counter() - start)
    return {norm: median(values) for norm, values in times.items()}


def _step(
    spec: NetworkSpec, norm: str, images: torch.Tensor, labels: torch.Tensor
) -> Callable[[], None]:
    network = make_network(spec, CLASSES, norm).to(images.device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
        clamp_gates(network)

    return step
