"""Layer normalization: over C, H, W of a sample, or over C for every pixel."""

from __future__ import annotations

from functools import partial

import torch
from torch.nn import functional

from normlab.norms.base import ChannelNormalization, Images
from normlab.norms.functional import rules
from normlab.norms.functional.activation import Activation, activate
from normlab.norms.layers.apply import normalize_by_sample


class LayerNorm2d(ChannelNormalization):
    """Layer normalization over C, H, W per sample (Ba et al. 2016, equation 4).

    y = γ·(x − μ_n)/√(v_n + ε) + β with γ, β of shape (C,): the same as group normalization with
    one group, and unlike torch.nn.LayerNorm independent of the image's size.

    Args:
        num_channels: C.
        eps: ε.
        affine: whether there are γ = 1 and β = 0.
        device: of the parameters and buffers.
        dtype: of the parameters and buffers.

    Shape:
        (N, C, H, W) → (N, C, H, W); γ, β (C,).

    Raises:
        UsageError: in training, one value per sample.

    >>> norm = LayerNorm2d(8)
    >>> norm(torch.randn(4, 8, 6, 6), activation="relu").shape
    torch.Size([4, 8, 6, 6])
    """

    def normalize(self, x: Images, residual: Images | None, activation: Activation) -> Images:
        """See `Normalization.normalize`."""
        self.check_count(x.shape[1] * x.shape[2] * x.shape[3], "use more channels")
        rule = partial(rules.layer, eps=self.eps)
        return normalize_by_sample(self, x, 1, rule, residual, activation)

    def extra_repr(self) -> str:
        """The layer's arguments, as torch prints them."""
        return f"{self.num_channels}, eps={self.eps}, affine={self.affine}"


class ChannelLayerNorm2d(ChannelNormalization):
    """Layer normalization over C alone, for every pixel (the form of ConvNeXt, Liu et al. 2022).

    y = γ·(x − μ_nhw)/√(v_nhw + ε) + β. This is not one affine map per plane, so it runs through
    the framework's layer_norm.

    Args:
        num_channels: C.
        eps: ε.
        affine: whether there are γ = 1 and β = 0.
        device: of the parameters and buffers.
        dtype: of the parameters and buffers.

    Shape:
        (N, C, H, W) → (N, C, H, W); γ, β (C,).

    >>> norm = ChannelLayerNorm2d(8)
    >>> norm(torch.randn(4, 8, 6, 6), activation="relu").shape
    torch.Size([4, 8, 6, 6])
    """

    def normalize(self, x: Images, residual: Images | None, activation: Activation) -> Images:
        """See `Normalization.normalize`."""
        pixels = x.permute(0, 2, 3, 1)  # free for channels_last
        z = functional.layer_norm(pixels, (self.num_channels,), self.weight, self.bias, self.eps)
        z = z.permute(0, 3, 1, 2)
        y = activate(z if residual is None else z + residual, activation)
        return torch.empty_like(x).copy_(y) if y.stride() != x.stride() else y.to(x.dtype)

    def extra_repr(self) -> str:
        """The layer's arguments, as torch prints them."""
        return f"{self.num_channels}, eps={self.eps}, affine={self.affine}"
