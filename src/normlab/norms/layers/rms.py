"""Norms that divide by a root mean square and leave the mean where it is."""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from normlab.norms.base import Normalization
from normlab.norms.functional import rules
from normlab.norms.functional.engine import plane_norm
from normlab.norms.functional.planes import Activation, activate, statistics_dtype

Images = Float[Tensor, "n c h w"]


class RMSNorm2d(Normalization):
    """Root mean square normalization over C, H, W per sample (Zhang & Sennrich 2019, equation 4).

    y = γ·x/√(mean x² + ε), with γ of shape (C,) and no β. With `axes="c"` the mean is over C alone
    for every pixel.
    """

    def __init__(
        self,
        num_channels: int,
        eps: float = 1e-5,
        axes: str = "chw",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """γ = 1."""
        super().__init__(num_channels, eps, True, device, dtype)
        self.bias = None
        self.num_channels = num_channels
        self.axes = axes

    @property
    def channels(self) -> int:
        """The number of channels C."""
        return self.num_channels

    def reset_parameters(self) -> None:
        """γ = 1."""
        assert self.weight is not None
        nn.init.ones_(self.weight)

    def forward(
        self, x: Images, residual: Images | None = None, activation: Activation = "none"
    ) -> Images:
        """Raises UsageError for a wrong shape."""
        self.check(x, residual, activation)
        if self.axes == "chw":
            rule = partial(rules.root_mean_square, eps=self.eps)
            return plane_norm(x, rule, (self.weight,), residual, activation)[0]
        assert self.weight is not None
        values = exact(x)
        scale = (values.square().mean(1, keepdim=True) + self.eps).rsqrt()
        return like(x, values * scale * self.weight[:, None, None], residual, activation)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.num_channels}, eps={self.eps}, axes={self.axes}"


class FilterResponseNorm2d(Normalization):
    """Filter response normalization with its thresholded unit (Singh & Krishnan 2020, section 3).

    z = γ·x/√(mean_hw x² + ε) + β;  y = max(z + residual, τ) with τ of shape (C,), zero at first.
    The unit belongs to the layer: it is there whatever activation is asked for, and instead of it.
    """

    def __init__(
        self,
        num_channels: int,
        eps: float = 1e-6,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """γ = 1, β = τ = 0."""
        super().__init__(num_channels, eps, True, device, dtype)
        self.num_channels = num_channels
        self.threshold = nn.Parameter(torch.zeros(num_channels, device=device, dtype=dtype))

    @property
    def channels(self) -> int:
        """The number of channels C."""
        return self.num_channels

    def reset_parameters(self) -> None:
        """γ = 1, β = τ = 0."""
        super().reset_parameters()
        nn.init.zeros_(self.threshold)

    def forward(
        self, x: Images, residual: Images | None = None, activation: Activation = "none"
    ) -> Images:
        """Raises UsageError for a wrong shape."""
        self.check(x, residual, activation)
        assert self.bias is not None
        rule = partial(rules.filter_response, eps=self.eps)
        # max(z, τ) = relu(z − τ) + τ, in the sweep: rounded to half precision, z could fall on τ.
        parameters = (self.weight, self.bias - self.threshold)
        above = plane_norm(x, rule, parameters, residual, "relu")[0]
        return above + self.threshold.to(x.dtype)[:, None, None]

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.num_channels}, eps={self.eps}"


class GlobalResponseNorm2d(Normalization):
    """Global response normalization (Woo et al. 2023, ConvNeXt V2, algorithm 1).

    y = γ·x·g/(mean_c g + ε) + β + x with g the length ‖x[n,c]‖₂ of each plane. γ = β = 0 at first:
    the identity. It makes channels compete and normalizes nothing; it is made to stand beside a
    normalization.
    """

    def __init__(
        self,
        num_channels: int,
        eps: float = 1e-6,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """γ = β = 0."""
        super().__init__(num_channels, eps, True, device, dtype)
        self.num_channels = num_channels
        self.reset_parameters()

    @property
    def channels(self) -> int:
        """The number of channels C."""
        return self.num_channels

    def reset_parameters(self) -> None:
        """γ = β = 0."""
        assert self.weight is not None
        assert self.bias is not None
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(
        self, x: Images, residual: Images | None = None, activation: Activation = "none"
    ) -> Images:
        """Raises UsageError for a wrong shape."""
        self.check(x, residual, activation)
        rule = partial(rules.global_response, plane_size=x.shape[2] * x.shape[3], eps=self.eps)
        return plane_norm(x, rule, (self.weight, self.bias), residual, activation)[0]

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.num_channels}, eps={self.eps}"


def like(x: Images, z: Images, residual: Images | None, activation: Activation) -> Images:
    """act(z + residual) with the dtype and memory format of x."""
    y = activate(z if residual is None else z + residual, activation).to(x.dtype)
    return y if y.stride() == x.stride() else torch.empty_like(x).copy_(y)


def exact(x: Images) -> Images:
    """x in the dtype of its statistics: float32, or float64."""
    return x.to(statistics_dtype(x))
