"""Layers that are their own activation, or take the place of a normalization without being one."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from normlab.errors import UsageError
from normlab.norms.base import Normalization
from normlab.norms.functional.planes import Activation
from normlab.norms.layers.rms import exact, like

Images = Float[Tensor, "n c h w"]


class EvoNormS0(Normalization):
    """EvoNorm-S0 (Liu et al. 2020, table 2): y = γ·x·σ(v·x)/√(var_group(x) + ε) + β.

    v has shape (C,). The sigmoid belongs to the layer, and takes the place of an activation that
    follows at once; one that follows the addition of a residual is applied as asked. For that place
    `gated=False` makes the layer without sigmoid and v.
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
        """γ = v = 1, β = 0; raises UsageError where G does not divide C."""
        super().__init__(num_channels, eps, True, device, dtype)
        if num_groups < 1 or num_channels % num_groups:
            raise UsageError(
                f"{num_groups} groups do not divide {num_channels} channels; choose a divisor"
            )
        self.num_groups, self.num_channels = num_groups, num_channels
        self.slope = (
            nn.Parameter(torch.ones(num_channels, device=device, dtype=dtype)) if gated else None
        )

    @property
    def channels(self) -> int:
        """The number of channels C."""
        return self.num_channels

    def reset_parameters(self) -> None:
        """γ = v = 1, β = 0."""
        super().reset_parameters()
        if self.slope is not None:
            nn.init.ones_(self.slope)

    def forward(
        self, x: Images, residual: Images | None = None, activation: Activation = "none"
    ) -> Images:
        """Raises UsageError for a wrong shape."""
        self.check(x, residual, activation)
        assert self.weight is not None
        assert self.bias is not None
        values = exact(x)
        n, c, h, w = x.shape
        grouped = values.reshape(n, self.num_groups, (c // self.num_groups) * h * w)
        variance = grouped.var(2, correction=0) if x.numel() else grouped.sum(2)
        scale = (variance + self.eps).rsqrt().repeat_interleave(c // self.num_groups, 1)
        z = values
        if self.slope is not None:
            z = values * torch.sigmoid(_channel(self.slope) * values)
            activation = "none" if residual is None else activation
        z = z * (scale * self.weight)[:, :, None, None] + _channel(self.bias)
        return like(x, z, residual, activation)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}"


class DynamicTanh2d(Normalization):
    """Dynamic tanh (Zhu et al. 2025, equation 1): y = γ·tanh(α·x) + β, no statistics at all.

    α is one number, `alpha` at first.
    """

    def __init__(
        self,
        num_channels: int,
        alpha: float = 0.5,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """γ = 1, β = 0."""
        super().__init__(num_channels, 0.0, True, device, dtype)
        self.num_channels = num_channels
        self.initial_alpha = alpha
        self.alpha = nn.Parameter(torch.full((1,), alpha, device=device, dtype=dtype))

    @property
    def channels(self) -> int:
        """The number of channels C."""
        return self.num_channels

    def reset_parameters(self) -> None:
        """γ = 1, β = 0, α as at first."""
        super().reset_parameters()
        nn.init.constant_(self.alpha, self.initial_alpha)

    def forward(
        self, x: Images, residual: Images | None = None, activation: Activation = "none"
    ) -> Images:
        """Raises UsageError for a wrong shape."""
        self.check(x, residual, activation)
        assert self.weight is not None
        assert self.bias is not None
        z = _channel(self.weight) * torch.tanh(self.alpha * exact(x)) + _channel(self.bias)
        return like(x, z, residual, activation)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.num_channels}, alpha={self.initial_alpha}"


def _channel(values: Float[Tensor, " c"]) -> Float[Tensor, "c 1 1"]:
    return values[:, None, None]
