"""Norms that are no affine map of x, in one call each way where the compiled kernel serves.

    y  = act(scale·f(x; a) + β + residual),    f = tanh(a·x)  or  f = x·σ(a·x)
    y  = max(scale·x + β + residual, a),       the "threshold", f = x
    dx = scale·dz·∂f/∂x + p·(x − μ) + q,       dz = dy·act'

a ("slope") is a number a channel, or one for all; scale is γ, or γ over a root of the planes'
statistics. p = 2·dv/M and q = dμ/M come from its derivative with Σ dz·f, which is written out in
cpu/curved.h. Nothing but x (and the residual) is kept for the backward, and no tensor of the size
of x is written that is not a result: in plain operations EvoNorm-S0 writes five. Other dtypes and
devices, compilers and exporters get the plain operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from normlab.norms.functional.activation import Activation
from normlab.norms.functional.engine import (
    gradients_of,
    is_differentiated_or_batched,
    needs_gradient,
    residual_or_zeros,
)
from normlab.norms.functional.planes import LIBRARY
from normlab.norms.fused.cpu.served import are_served

Curve = Literal["tanh", "swish", "threshold"]
Scale = Literal["constant", "response", "deviation"]
Plain = Callable[..., Tensor]
"""plain(x, residual, *parameters) -> y: the whole layer in plain, differentiable operations."""

_LAYER = (
    "Tensor slope, Tensor weight, Tensor bias, str activation, str curve, str scale, int groups, "
    "float eps"
)
LIBRARY.define(f"curved_norm({_LAYER}, Tensor x, Tensor? residual) -> (Tensor, Tensor)")
LIBRARY.define(
    f"curved_norm_backward({_LAYER}, Tensor dy, Tensor x, Tensor? residual, Tensor planes, "
    "bool needs_dz) -> (Tensor, Tensor?, Tensor, Tensor, Tensor)"
)
_forward = torch.ops.normlab.curved_norm.default
_backward = torch.ops.normlab.curved_norm_backward.default


class CurvedScheme(NamedTuple):
    """Which norm it is."""

    curve: Curve
    plain: Plain
    """The same in plain operations: where no kernel serves, or a backward is differentiated."""
    scale: Scale = "constant"
    """γ; γ/√(v + μ² + ε) of every plane; γ/√(s² + ε) by the variance of a group."""
    groups: int = 1
    """Groups of channels of one sample, of a deviation."""
    eps: float = 0.0
    """ε."""


def curved_norm(
    x: Tensor,
    residual: Tensor | None,
    parameters: Sequence[Tensor],
    activation: Activation,
    scheme: CurvedScheme,
) -> Tensor:
    """Normalize x (N, C, H, W) by the kernel where it serves, else in plain operations.

    Args:
        x: (N, C, H, W), in any memory format.
        residual: of the shape of x, added before the activation.
        parameters: a (C,) or (1,), γ and β (C,).
        activation: what follows.
        scheme: which norm it is.

    Returns:
        y with the shape, dtype and memory format of x.
    """
    if not are_served(x, residual, parameters):
        return scheme.plain(x, residual, *parameters)
    if needs_gradient(x, residual, *parameters):
        return _CurvedNorm.apply(x, residual, activation, scheme, *parameters)  # type: ignore[no-untyped-call,no-any-return]
    return _forward(*_layer(parameters, activation, scheme), x, residual)[0]  # type: ignore[no-any-return]


def _layer(
    parameters: Sequence[Tensor], activation: Activation, scheme: CurvedScheme
) -> tuple[Any, ...]:
    return (*parameters, activation, scheme.curve, scheme.scale, scheme.groups, scheme.eps)


class _CurvedNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        residual: Tensor | None,
        activation: Activation,
        scheme: CurvedScheme,
        *parameters: Tensor,
    ) -> Tensor:
        y, planes = _forward(*_layer(parameters, activation, scheme), x, residual)
        # The pre-activation is computed again from x (and the residual); nothing else is kept.
        linear = activation == "none" and scheme.curve != "threshold"
        ctx.save_for_backward(x, None if linear else residual, planes, *parameters)
        ctx.scheme, ctx.activation = scheme, activation
        ctx.has_residual = residual is not None
        return y  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, residual, planes, *parameters = ctx.saved_tensors
        needs_x, needs_residual, _, _, *needs = ctx.needs_input_grad
        if is_differentiated_or_batched(dy):
            residual = residual_or_zeros(ctx, x, residual, needs_residual)
            dx, dz, *others = gradients_of(
                ctx.scheme.plain, dy, (x, residual, *parameters), (needs_x, needs_residual, *needs)
            )
            return (dx, dz, None, None, *others)
        layer = _layer(parameters, ctx.activation, ctx.scheme)
        dx, dz, *found = _backward(*layer, dy, x, residual, planes, needs_residual)
        wanted = [g if n else None for g, n in zip(found, needs, strict=True)]
        return (dx if needs_x else None, dz, None, None, *wanted)
