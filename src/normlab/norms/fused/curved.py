"""Norms that are no affine map of x, in one call each way where the compiled kernel serves.

    y  = act(scale·f(x; a) + offset + residual),    f = tanh(a·x)  or  f = x·σ(a·x)
    y  = max(scale·x + offset + residual, a),       the "threshold", f = x
    dx = scale·dz·∂f/∂x + p·(x − μ) + q,            dz = dy·act'

a ("slope"), scale and offset are N×C numbers, which a rule makes of the planes' statistics and the
parameters, as in functional/engine.py; p = 2·dv/M and q = dμ/M come from its vector-Jacobian
product with Σ dy·∂y/∂a, Σ dz·f and Σ dz. Nothing but x (and the residual) is kept for the
backward, and no tensor of the size of x is written that is not a result: in plain operations
EvoNorm-S0 writes five. Other dtypes and devices, compilers and exporters get the plain operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from normlab.norms.functional import planes
from normlab.norms.functional.activation import Activation
from normlab.norms.functional.engine import (
    gradients_of,
    is_differentiated_or_batched,
    leaf,
    needs_plain_operations,
    vector_jacobian_product,
)
from normlab.norms.functional.planes import LIBRARY
from normlab.norms.fused.cpu import loader

Curve = Literal["tanh", "swish", "threshold"]
CurvedRule = Callable[..., tuple[Tensor, Tensor, Tensor]]
"""rule(mean, variance, *parameters) -> (slope, scale, offset), all N×C, differentiable and pure."""
Plain = Callable[..., Tensor]
"""plain(x, residual, *parameters) -> y: the whole layer in plain, differentiable operations."""

LIBRARY.define(
    "curved(Tensor x, Tensor slope, Tensor scale, Tensor offset, Tensor? residual, "
    "str activation, str curve) -> Tensor"
)
LIBRARY.define(
    "curved_sums(Tensor dy, Tensor x, Tensor slope, Tensor scale, Tensor offset, "
    "Tensor? residual, str activation, str curve) -> (Tensor, Tensor, Tensor)"
)
LIBRARY.define(
    "curved_backward(Tensor dy, Tensor x, Tensor slope, Tensor scale, Tensor offset, "
    "Tensor? residual, Tensor center, Tensor p, Tensor q, str activation, str curve, "
    "bool needs_dz) -> (Tensor, Tensor?)"
)
_forward = torch.ops.normlab.curved.default
_sums = torch.ops.normlab.curved_sums.default
_backward = torch.ops.normlab.curved_backward.default
_PLAIN_TYPES = (Tensor, torch.nn.Parameter)


class CurvedScheme(NamedTuple):
    """Which norm it is."""

    curve: Curve
    rule: CurvedRule
    plain: Plain
    """The same in plain operations: where no kernel serves, or a backward is differentiated."""
    has_statistics: bool
    """Whether the rule looks at the planes' mean and variance, which cost a sweep."""


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
        parameters: what the rule takes beside the statistics.
        activation: what follows.
        scheme: which norm it is.

    Returns:
        y with the shape, dtype and memory format of x.
    """
    if not _is_served(x, residual, parameters):
        return scheme.plain(x, residual, *parameters)
    inputs = (x, residual, *parameters)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs):
        return _CurvedNorm.apply(x, residual, activation, scheme, *parameters)  # type: ignore[no-untyped-call,no-any-return]
    mean, variance = _statistics(x, scheme)
    values = scheme.rule(mean, variance, *parameters)
    return _forward(x, *values, residual, activation, scheme.curve)  # type: ignore[no-any-return]


def _is_served(x: Tensor, residual: Tensor | None, parameters: Sequence[Tensor]) -> bool:
    return (
        loader.library_path() is not None
        and type(x) in _PLAIN_TYPES
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.bfloat16)
        and x.numel() > 0
        and (residual is None or residual.device.type == "cpu")
        and all(t.dtype is torch.float32 and t.device.type == "cpu" for t in parameters)
        and not needs_plain_operations()
    )


def _statistics(x: Tensor, scheme: CurvedScheme) -> tuple[Tensor, Tensor]:
    if scheme.has_statistics:
        return planes.statistics(x)
    nothing = torch.zeros(1, 1).expand(x.shape[:2])
    return nothing, nothing


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
        mean, variance = _statistics(x, scheme)
        with torch.enable_grad():  # a graph of N×C numbers, kept for the backward
            leaves = [leaf(t) for t in (mean, variance, *parameters)]
            outputs = scheme.rule(*leaves)
        values = [output.detach() for output in outputs]
        y = _forward(x, *values, residual, activation, scheme.curve)
        # The pre-activation is computed again from x (and the residual); nothing else is kept.
        linear = activation == "none" and scheme.curve != "threshold"
        known = None if linear else residual
        ctx.save_for_backward(x, known, mean, *values, *parameters)
        ctx.leaves, ctx.outputs, ctx.scheme, ctx.activation = leaves, outputs, scheme, activation
        ctx.has_residual = residual is not None
        return y  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, residual, mean, slope, scale, offset, *parameters = ctx.saved_tensors
        needs_x, needs_residual, _, _, *needs_parameters = ctx.needs_input_grad
        curve, activation = ctx.scheme.curve, ctx.activation
        if is_differentiated_or_batched(dy):
            return _differentiable_backward(ctx, dy, x, residual, parameters)
        values = (dy, x, slope, scale, offset, residual)
        by_offset, by_scale, by_slope = _sums(*values, activation, curve)
        found = (by_slope, by_scale, by_offset)
        dmean, dvariance, *dparameters = vector_jacobian_product(ctx.outputs, found, ctx.leaves)
        m = x.shape[2] * x.shape[3]
        nothing = torch.zeros(1, 1).expand(x.shape[:2])
        p = nothing if dvariance is None else dvariance * (2 / m)
        q = nothing if dmean is None else dmean / m
        dx = dresidual = None
        if needs_x or needs_residual:
            dx, dresidual = _backward(*values, mean, p, q, activation, curve, needs_residual)
        gradients = [g if n else None for g, n in zip(dparameters, needs_parameters, strict=True)]
        return (dx if needs_x else None, dresidual, None, None, *gradients)


def _differentiable_backward(
    ctx: Any, dy: Tensor, x: Tensor, residual: Tensor | None, parameters: Sequence[Tensor]
) -> tuple[Tensor | None, ...]:
    """The backward in plain operations: see `is_differentiated_or_batched`."""
    if residual is None and ctx.has_residual:  # linear: its value has no part in any gradient
        residual = torch.zeros_like(x).requires_grad_(ctx.needs_input_grad[1])
    needs = (*ctx.needs_input_grad[:2], *ctx.needs_input_grad[4:])
    inputs = (x, residual, *parameters)
    dx, dz, *others = gradients_of(ctx.scheme.plain, dy, inputs, needs)
    return (dx, dz, None, None, *others)
