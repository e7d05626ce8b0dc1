"""The activations that a normalization applies in the sweep that writes its output."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional

Activation = Literal["none", "relu", "leaky_relu", "silu"]
ACTIVATIONS: tuple[Activation, ...] = ("none", "relu", "leaky_relu", "silu")
LEAKY_SLOPE = 0.01


def activate(z: Tensor, activation: Activation) -> Tensor:
    """Apply an activation by its name.

    Args:
        z: the pre-activation, of any shape.
        activation: "none", "relu", "leaky_relu" (slope 0.01) or "silu".

    Returns:
        act(z), of the same shape.

    >>> import torch
    >>> activate(torch.tensor([-1.0, 2.0]), "leaky_relu")
    tensor([-0.0100,  2.0000])
    """
    match activation:
        case "none":
            return z
        case "relu":
            return functional.relu(z)
        case "leaky_relu":
            return functional.leaky_relu(z, LEAKY_SLOPE)
        case "silu":
            return functional.silu(z)
