"""Where a tensor has its channels, and how it becomes planes (N, C, H, W).

A plane is what one channel of one sample has, along whatever axes: a signal (N, C, L), a volume
(N, C, D, H, W), the tokens of a transformer (N, L, C), an image with channels last (N, H, W, C).
Every rule is a function of the planes, so that it says for each of them what it says for images.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

Layout = Literal["nchw", "channels first", "channels last"]
"""(N, C, H, W) alone; (N, C, …) or (N, …, C) with any number of axes between, none among them."""


def as_planes(x: Tensor, layout: Layout) -> Tensor:
    """View x as (N, C, H, W); what lies along further axes is put into one, and H or W may be 1.

    Args:
        x: with its axes in the order of the layout, at least two.
        layout: where its channels are.

    Returns:
        The planes, in memory as x is.

    >>> import torch
    >>> as_planes(torch.zeros(2, 7, 3), "channels last").shape
    torch.Size([2, 3, 1, 7])
    >>> as_planes(torch.zeros(2, 3, 4, 5, 6), "channels first").shape
    torch.Size([2, 3, 20, 6])
    """
    if layout == "channels last":
        inner = x.unsqueeze(1) if x.dim() < 4 else x.flatten(1, -3) if x.dim() > 4 else x
        inner = inner.unsqueeze(1) if inner.dim() < 4 else inner
        return inner.permute(0, 3, 1, 2)
    if x.dim() > 4:
        return x.flatten(2, -2)
    while x.dim() < 4:
        x = x.unsqueeze(2)
    return x


def from_planes(y: Tensor, like: Tensor, layout: Layout) -> Tensor:
    """The inverse of `as_planes` for a tensor of the shape of `like`.

    Args:
        y: (N, C, H, W), what was made of the planes.
        like: the tensor that the planes were made of.
        layout: where its channels are.

    Returns:
        y with the shape of `like`.
    """
    return (y.permute(0, 2, 3, 1) if layout == "channels last" else y).reshape(like.shape)
