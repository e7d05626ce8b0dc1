"""Which layers' outputs a class activation map is taken from."""

from __future__ import annotations

from normlab.errors import UsageError
from normlab.networks.view import NetworkView
from normlab.records.run import known

CHOICES = ("last-stage", "last")


def choose_layers(view: NetworkView, choice: str = "last-stage") -> tuple[str, ...]:
    """Names of the modules whose outputs are averaged, in the order in which they run.

    Args:
        view: what `inspect_network` found.
        choice: "last-stage", all layers of the last resolution: 2n for the networks of 6n+2
            layers, at a quarter of the size; or "last", the last one alone.

    A convolution layer's output is taken after its norm, shortcut and activation: where one module
    computes them in one sweep that is the norm, elsewhere it is the activation module. In a
    network without either it is the last feature map before the pooling; of a transformer with a
    class token, the input of its last block.

    Raises:
        UnknownNameError: no such choice.
        UsageError: the network has no convolution.
    """
    known("choice of layers", choice, CHOICES)
    if not view.cam_layers:
        raise UsageError(
            "this network has no convolution, and a class activation map is made of a "
            "convolution's maps; give a convolutional network"
        )
    return view.cam_layers[-1:] if choice == "last" else view.cam_layers
