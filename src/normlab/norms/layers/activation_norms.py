"""Layers with an activation of their own: EvoNorm, and dynamic tanh, which has no statistics."""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from normlab.norms.base import ChannelNormalization, Images
from normlab.norms.functional import rules
from normlab.norms.functional.activation import Activation
from normlab.norms.functional.engine import plane_norm
from normlab.norms.functional.planes import activate_like, to_statistics_dtype
from normlab.norms.fused.curved import CurvedScheme, curved_norm
from normlab.norms.layers.group import check_groups


class EvoNormS0(ChannelNormalization):
    """EvoNorm-S0 (Liu et al. 2020, table 2): y = γ·x·σ(v·x)/√(var_group(x) + ε) + β.

    The sigmoid belongs to the layer, and takes the place of an activation that follows at once; one
    that follows the addition of a residual is applied as asked. For that place `gated=False` makes
    the layer without sigmoid and v.

    Args:
        num_groups: the groups of channels that share a variance, a divisor of C.
        num_channels: C.
        eps: ε.
        gated: whether there is the sigmoid with its slope v.
        device: of the parameters and buffers.
        dtype: of the parameters and buffers.

    Shape:
        (N, C, H, W) → (N, C, H, W); γ, β, v (C,).

    Raises:
        UsageError: the groups do not divide C.

    >>> norm = EvoNormS0(2, 8)
    >>> norm(torch.randn(4, 8, 6, 6)).shape
    torch.Size([4, 8, 6, 6])
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        gated: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_channels, eps, True, device, dtype)
        check_groups(num_groups, num_channels)
        self.num_groups = num_groups
        self.slope = (
            nn.Parameter(torch.ones(num_channels, device=device, dtype=dtype)) if gated else None
        )

    def reset_parameters(self) -> None:
        """Set γ and v to 1, β to 0."""
        super().reset_parameters()
        if self.slope is not None:
            nn.init.ones_(self.slope)

    def normalize(self, x: Images, residual: Images | None, activation: Activation) -> Images:
        """See `Normalization.normalize`."""
        assert self.weight is not None
        assert self.bias is not None
        groups, eps = self.num_groups, self.eps
        if self.slope is None:
            rule = partial(rules.group_deviation, num_groups=groups, eps=eps)
            return plane_norm(x, rule, (self.weight, self.bias), residual, activation)[0]
        activation = "none" if residual is None else activation
        scheme = CurvedScheme(
            "swish",
            partial(_evonorm_s0, activation=activation, num_groups=groups, eps=eps),
            scale="deviation",
            groups=groups,
            eps=eps,
        )
        return curved_norm(x, residual, (self.slope, self.weight, self.bias), activation, scheme)

    def extra_repr(self) -> str:
        """The layer's arguments, as torch prints them."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}"


class DynamicTanh2d(ChannelNormalization):
    """Dynamic tanh (Zhu et al. 2025, equation 1): y = γ·tanh(α·x) + β, no statistics at all.

    α is one number for all channels.

    Args:
        num_channels: C.
        alpha: α at first.
        device: of the parameters and buffers.
        dtype: of the parameters and buffers.

    Shape:
        (N, C, H, W) → (N, C, H, W); γ, β (C,), α (1,).

    >>> norm = DynamicTanh2d(8)
    >>> norm(torch.randn(4, 8, 6, 6)).abs().max() < 1
    tensor(True)
    """

    def __init__(
        self,
        num_channels: int,
        alpha: float = 0.5,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_channels, 0.0, True, device, dtype)
        self.initial_alpha = alpha
        self.alpha = nn.Parameter(torch.full((1,), alpha, device=device, dtype=dtype))

    def reset_parameters(self) -> None:
        """Set γ to 1, β to 0 and α to where it started."""
        super().reset_parameters()
        nn.init.constant_(self.alpha, self.initial_alpha)

    def normalize(self, x: Images, residual: Images | None, activation: Activation) -> Images:
        """See `Normalization.normalize`."""
        assert self.weight is not None
        assert self.bias is not None
        scheme = CurvedScheme("tanh", partial(_dynamic_tanh, activation=activation))
        return curved_norm(x, residual, (self.alpha, self.weight, self.bias), activation, scheme)

    def extra_repr(self) -> str:
        """The layer's arguments, as torch prints them."""
        return f"{self.num_channels}, alpha={self.initial_alpha}"


def _evonorm_s0(
    x: Images,
    residual: Images | None,
    slope: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    activation: Activation,
    num_groups: int,
    eps: float,
) -> Images:
    """EvoNorm-S0 in plain operations."""
    values = to_statistics_dtype(x)
    n, c, h, w = x.shape
    grouped = values.reshape(n, num_groups, (c // num_groups) * h * w)
    variance = grouped.var(2, correction=0) if x.numel() else grouped.sum(2)
    scale = (variance + eps).rsqrt().repeat_interleave(c // num_groups, 1)
    z = values * torch.sigmoid(_channel(slope) * values)
    z = z * (scale * weight)[:, :, None, None] + _channel(bias)
    return activate_like(x, z, residual, activation)


def _dynamic_tanh(
    x: Images,
    residual: Images | None,
    alpha: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    activation: Activation,
) -> Images:
    """Dynamic tanh in plain operations."""
    z = _channel(weight) * torch.tanh(alpha * to_statistics_dtype(x)) + _channel(bias)
    return activate_like(x, z, residual, activation)


def _channel(values: Float[Tensor, " c"]) -> Float[Tensor, "c 1 1"]:
    return values[:, None, None]
