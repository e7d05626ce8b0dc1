"""The four plane operators, on which every normalization stands.

A *plane* is one channel of one sample, x[n, c, :, :], of M = H·W values. The operators sweep over
the tensor; everything between the sweeps happens on N×C numbers (see rules.py).

    statistics       μ, v     = mean and biased variance of every plane
    affine           y        = act((x − center)·scale + offset + residual)
    sums             S1, S2   = Σ dz, Σ dz·(x − center)            dz = dy · act'
    affine_backward  dx, dz   = scale·dz + p·(x − center) + q, dz

They are registered with torch's dispatcher as `normlab::plane_*`. This file holds the reference
backend in plain tensor operations, for every device and dtype: the oracle of all other backends,
which register faster kernels for their device under the same names.

Statistics and all N×C numbers are float32 (float64 for float64 input), whatever x is. Results
have x's dtype and memory format, whatever the layout of the incoming gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from normlab.norms.functional.activation import LEAKY_SLOPE, Activation, activate
from normlab.norms.fused.cpu import loader
from normlab.norms.fused.triton import serve

LIBRARY = torch.library.Library("normlab", "DEF")
"""The definitions of normlab's operators in torch's dispatcher."""
LIBRARY.define("plane_statistics(Tensor x) -> (Tensor, Tensor)")
LIBRARY.define(
    "plane_affine(Tensor x, Tensor center, Tensor scale, Tensor offset, Tensor? residual, "
    "str activation) -> Tensor"
)
LIBRARY.define(
    "plane_sums(Tensor dy, Tensor x, Tensor center, Tensor? pivot, str activation)"
    " -> (Tensor, Tensor)"
)
LIBRARY.define(
    "plane_affine_backward(Tensor dy, Tensor x, Tensor center, Tensor? pivot, Tensor scale, "
    "Tensor p, Tensor q, str activation, bool needs_dz) -> (Tensor, Tensor?)"
)


def statistics(
    x: Float[Tensor, "n c h w"],
) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n c"]]:
    """Mean μ and biased variance v of every plane, by Welford's or shifted sums.

    E[x²] − μ² would lose all digits where |μ| ≫ √v.
    """
    return cast("tuple[Tensor, Tensor]", torch.ops.normlab.plane_statistics(x))


def affine(
    x: Float[Tensor, "n c h w"],
    center: Float[Tensor, "n c"],
    scale: Float[Tensor, "n c"],
    offset: Float[Tensor, "n c"],
    residual: Float[Tensor, "n c h w"] | None = None,
    activation: Activation = "none",
) -> Float[Tensor, "n c h w"]:
    """y = act((x − center)·scale + offset + residual).

    The centred form keeps its digits where |mean| ≫ standard deviation; scale·x + shift does not.
    """
    return cast(
        "Tensor",
        torch.ops.normlab.plane_affine(x, center, scale, offset, residual, activation),
    )


def sums(
    dy: Float[Tensor, "n c h w"],
    x: Float[Tensor, "n c h w"],
    center: Float[Tensor, "n c"],
    pivot: Float[Tensor, "n c h w"] | None,
    activation: Activation,
) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n c"]]:
    """S1 = Σ dz and S2 = Σ dz·(x − center) of every plane, dz = dy·act'.

    `pivot` is what the activation's derivative is known from: the output y for relu and
    leaky_relu, the pre-activation for silu, nothing for none.
    """
    return cast(
        "tuple[Tensor, Tensor]",
        torch.ops.normlab.plane_sums(dy, x, center, pivot, activation),
    )


def affine_backward(
    dy: Float[Tensor, "n c h w"],
    x: Float[Tensor, "n c h w"],
    center: Float[Tensor, "n c"],
    pivot: Float[Tensor, "n c h w"] | None,
    scale: Float[Tensor, "n c"],
    p: Float[Tensor, "n c"],
    q: Float[Tensor, "n c"],
    activation: Activation,
    *,
    needs_dz: bool = False,
) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n c h w"] | None]:
    """dx = scale·dz + p·(x − center) + q, and dz (the residual's gradient) if it is needed."""
    return cast(
        "tuple[Tensor, Tensor | None]",
        torch.ops.normlab.plane_affine_backward(
            dy, x, center, pivot, scale, p, q, activation, needs_dz
        ),
    )


def plain_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """`statistics` in plain, differentiable tensor operations."""
    x = x.to(statistics_dtype(x))
    if x.numel() == 0:  # var_mean warns of it
        return x.sum((2, 3)), x.sum((2, 3))
    variance, mean = torch.var_mean(x, dim=(2, 3), correction=0)
    return mean, variance


def plain_affine(
    x: Tensor,
    center: Tensor,
    scale: Tensor,
    offset: Tensor,
    residual: Tensor | None,
    activation: Activation,
) -> Tensor:
    """`affine` in plain, differentiable tensor operations."""
    z = (x - _per_plane(center)) * _per_plane(scale) + _per_plane(offset)
    if residual is not None:
        z = z + residual
    return activate(z, activation).to(x.dtype)


def statistics_dtype(x: Tensor) -> torch.dtype:
    """float64 stays float64; everything else is summed in float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def to_statistics_dtype(x: Tensor) -> Tensor:
    """x in the dtype of its statistics: float64 as it is, all else in float32."""
    return x.to(statistics_dtype(x))


def activate_like(x: Tensor, z: Tensor, residual: Tensor | None, activation: Activation) -> Tensor:
    """The end of a layer in plain operations.

    Args:
        x: the layer's input, whose dtype and memory format the result has.
        z: the normalized x, in the dtype of the statistics.
        residual: added to z.
        activation: applied after that.

    Returns:
        act(z + residual).
    """
    y = activate(z if residual is None else z + residual, activation).to(x.dtype)
    return y if y.stride() == x.stride() else torch.empty_like(x).copy_(y)


def reference_sums(
    dy: Tensor, x: Tensor, center: Tensor, pivot: Tensor | None, activation: Activation
) -> tuple[Tensor, Tensor]:
    """`sums` in plain tensor operations."""
    dz = activation_gradient(dy.to(statistics_dtype(x)), pivot, activation)
    return dz.sum((2, 3)), (dz * (x - _per_plane(center))).sum((2, 3))


def reference_affine_backward(
    dy: Tensor,
    x: Tensor,
    center: Tensor,
    pivot: Tensor | None,
    scale: Tensor,
    p: Tensor,
    q: Tensor,
    activation: Activation,
    needs_dz: bool,
) -> tuple[Tensor, Tensor | None]:
    """`affine_backward` in plain tensor operations."""
    dz = activation_gradient(dy.to(statistics_dtype(x)), pivot, activation)
    # Starting from x gives dx the memory format of x, whatever that of dy is.
    dx = (x - _per_plane(center)).mul_(_per_plane(p)).add_(_per_plane(q))
    dx.addcmul_(_per_plane(scale), dz)
    return dx.to(x.dtype), dz.to(x.dtype, copy=True) if needs_dz else None


def activation_gradient(dy: Tensor, pivot: Tensor | None, activation: Activation) -> Tensor:
    """dz = dy·act'(z), from what the derivative is known by: see `sums`."""
    if activation == "none":
        return dy
    assert pivot is not None
    if activation == "silu":
        sigmoid = torch.sigmoid(pivot.to(dy.dtype))
        return dy * (sigmoid * (1 + pivot * (1 - sigmoid)))
    slope = 0.0 if activation == "relu" else LEAKY_SLOPE
    # where(), not a product with the mask: 0·∞ would put NaN where torch's relu puts 0.
    return torch.where(pivot > 0, dy, dy * slope if slope else dy.new_zeros(()))


def _per_plane(values: Float[Tensor, "n c"]) -> Float[Tensor, "n c 1 1"]:
    return values[:, :, None, None]


REFERENCE: dict[str, Callable[..., object]] = {
    "plane_statistics": plain_statistics,
    "plane_affine": plain_affine,
    "plane_sums": reference_sums,
    "plane_affine_backward": reference_affine_backward,
}
"""The reference backend: a function for each operator."""
for _name, _function in REFERENCE.items():
    LIBRARY.impl(_name, _function, "CompositeExplicitAutograd")
loader.load(LIBRARY, REFERENCE)  # faster ones for the CPU, where there is a compiler
serve.register(LIBRARY, REFERENCE)  # and for a GPU, where there is Triton
