"""Norms that divide by a root mean square and leave the mean where it is."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from normlab.norms.base import ChannelNormalization, Images
from normlab.norms.functional import rules
from normlab.norms.functional.activation import Activation
from normlab.norms.functional.engine import plane_norm
from normlab.norms.functional.planes import activate_like, to_statistics_dtype
from normlab.norms.fused.closed import ClosedRule, closed_norm
from normlab.norms.fused.curved import CurvedScheme, curved_norm
from normlab.norms.layers.apply import normalize_by_sample


class RMSNorm2d(ChannelNormalization):
    """Root mean square normalization over C, H, W per sample (Zhang & Sennrich 2019, equation 4).

    y = γ·x/√(mean x² + ε), with γ of shape (C,) and no β.

    Args:
        num_channels: C.
        eps: ε.
        axes: "chw", or "c" for the mean over C alone, for every pixel.
        device: of the parameters and buffers.
        dtype: of the parameters and buffers.

    Shape:
        (N, C, H, W) → (N, C, H, W); γ (C,).

    >>> norm = RMSNorm2d(8)
    >>> norm(torch.randn(4, 8, 6, 6), activation="relu").shape
    torch.Size([4, 8, 6, 6])
    """

    def __init__(
        self,
        num_channels: int,
        eps: float = 1e-5,
        axes: str = "chw",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_channels, eps, True, device, dtype)
        self.bias = None
        self.axes = axes

    def reset_parameters(self) -> None:
        """Set γ to 1."""
        assert self.weight is not None
        nn.init.ones_(self.weight)

    def normalize(self, x: Images, residual: Images | None, activation: Activation) -> Images:
        """See `Normalization.normalize`."""
        if self.axes == "chw":
            rule = partial(rules.root_mean_square, eps=self.eps)
            return normalize_by_sample(self, x, 1, rule, residual, activation, centred=False)
        assert self.weight is not None
        values = to_statistics_dtype(x)
        scale = (values.square().mean(1, keepdim=True) + self.eps).rsqrt()
        return activate_like(x, values * scale * self.weight[:, None, None], residual, activation)

    def extra_repr(self) -> str:
        """The layer's arguments, as torch prints them."""
        return f"{self.num_channels}, eps={self.eps}, axes={self.axes}"


class FilterResponseNorm2d(ChannelNormalization):
    """Filter response normalization with its thresholded unit (Singh & Krishnan 2020, section 3).

    z = γ·x/√(mean_hw x² + ε) + β;  y = max(z + residual, τ) with τ of shape (C,), zero at first.
    The unit belongs to the layer: it is there whatever activation is asked for, and instead of it.

    Args:
        num_channels: C.
        eps: ε.
        device: of the parameters and buffers.
        dtype: of the parameters and buffers.

    Shape:
        (N, C, H, W) → (N, C, H, W); γ, β, τ (C,).

    >>> norm = FilterResponseNorm2d(8)
    >>> norm(torch.randn(4, 8, 6, 6), activation="relu").shape
    torch.Size([4, 8, 6, 6])
    """

    def __init__(
        self,
        num_channels: int,
        eps: float = 1e-6,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_channels, eps, True, device, dtype)
        self.threshold = nn.Parameter(torch.zeros(num_channels, device=device, dtype=dtype))

    def reset_parameters(self) -> None:
        """Set γ to 1, β and τ to 0."""
        super().reset_parameters()
        nn.init.zeros_(self.threshold)

    def normalize(self, x: Images, residual: Images | None, activation: Activation) -> Images:
        """See `Normalization.normalize`."""
        assert self.weight is not None
        assert self.bias is not None
        scheme = CurvedScheme(
            "threshold",
            partial(_thresholded_response, eps=self.eps),
            scale="response",
            eps=self.eps,
        )
        return curved_norm(x, residual, (self.threshold, self.weight, self.bias), "none", scheme)

    def extra_repr(self) -> str:
        """The layer's arguments, as torch prints them."""
        return f"{self.num_channels}, eps={self.eps}"


class GlobalResponseNorm2d(ChannelNormalization):
    """Global response normalization (Woo et al. 2023, ConvNeXt V2, algorithm 1).

    y = γ·x·g/(mean_c g + ε) + β + x with g the length ‖x[n,c]‖₂ of each plane. γ = β = 0 at first:
    the identity. It makes channels compete and normalizes nothing; it is made to stand beside a
    normalization.

    Args:
        num_channels: C.
        eps: ε, added to the mean length.
        device: of the parameters and buffers.
        dtype: of the parameters and buffers.

    Shape:
        (N, C, H, W) → (N, C, H, W); γ, β (C,).

    >>> x = torch.randn(4, 8, 6, 6)
    >>> torch.allclose(GlobalResponseNorm2d(8)(x), x)
    True
    """

    def __init__(
        self,
        num_channels: int,
        eps: float = 1e-6,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_channels, eps, True, device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set γ and β to 0: the identity."""
        assert self.weight is not None
        assert self.bias is not None
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def normalize(self, x: Images, residual: Images | None, activation: Activation) -> Images:
        """See `Normalization.normalize`."""
        plain = partial(rules.global_response, plane_size=x.shape[2] * x.shape[3], eps=self.eps)
        rule = ClosedRule("global_response", plain, self.eps)
        parameters = (self.weight, self.bias)
        y = closed_norm(x, residual, parameters, activation, rule)
        return plane_norm(x, rule, parameters, residual, activation)[0] if y is None else y

    def extra_repr(self) -> str:
        """The layer's arguments, as torch prints them."""
        return f"{self.num_channels}, eps={self.eps}"


def _thresholded_response(
    x: Images,
    residual: Images | None,
    threshold: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    eps: float,
) -> Images:
    """Filter response normalization by the planes, where no kernel serves it whole."""
    rule = partial(rules.filter_response, eps=eps)
    # max(z, τ) = relu(z − τ) + τ, in the sweep: rounded to half precision, z could fall on τ.
    above = plane_norm(x, rule, (weight, bias - threshold), residual, "relu")[0]
    return above + threshold.to(x.dtype)[:, None, None]
