"""Inputs, layers with parameters that are not 1 and 0, and one training step of a layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

C = 8
"""Channels of the inputs, unless another shape is asked for."""


def images(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(*(shape or (4, C, 5, 3)), generator=generator) + 1).to(dtype)


def randomized(layer: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(0.2, 0.8, generator=generator)
    return layer


def step(layer: nn.Module, x: Tensor, **options: Any) -> tuple[Tensor, ...]:
    """y, dx and the parameters' gradients of one training step."""
    x = x.clone().requires_grad_()
    layer.zero_grad()
    y = layer(x, **options)
    y.backward(images(*x.shape, seed=2, dtype=x.dtype))
    return y.detach(), x.grad, *(p.grad for p in layer.parameters())
