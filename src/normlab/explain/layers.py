"""Which layers' outputs a class activation map is taken from."""

from __future__ import annotations

from torch import nn

from normlab.errors import UsageError
from normlab.networks.resnet.blocks import BasicBlock
from normlab.networks.resnet.resnet import ResNet
from normlab.records.run import known

CHOICES = ("last-stage", "last")


def choose_layers(network: nn.Module, choice: str = "last-stage") -> tuple[str, ...]:
    """Names of the modules whose outputs are averaged, in the order in which they run.

    Args:
        network: a residual network of normlab, or any network with convolutions.
        choice: "last-stage", all convolution layers of the last stage: 2n for the networks of
            6n+2 layers, at a quarter of the size; or "last", the last one alone.

    A convolution layer's output is taken after its norm, shortcut and activation, which one module
    computes in one sweep: the two norms of every block. In a network without such blocks it is the
    last convolution's own output.

    Raises:
        UnknownNameError: no such choice.
        UsageError: the network has no convolution.
    """
    known("choice of layers", choice, CHOICES)
    names: list[str] = []
    if isinstance(network, ResNet):
        stage = f"stages.{len(network.stages) - 1}"
        names = [
            f"{stage}.{block}.{norm}"
            for block, module in network.stages[-1].named_children()
            if isinstance(module, BasicBlock)
            for norm in ("norm1", "norm2")
        ]
    if not names:
        names = [name for name, m in network.named_modules() if isinstance(m, nn.Conv2d)][-1:]
    if not names:
        raise UsageError(
            f"{type(network).__name__} has no convolution, and a class activation map is made of "
            "a convolution's maps; give a convolutional network"
        )
    return tuple(names[-1:] if choice == "last" else names)
