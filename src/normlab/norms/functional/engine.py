"""One autograd function for every plane-wise normalization.

    μ, v          = statistics(x)                                  one sweep
    scale, offset = rule(μ, v, *parameters)                        N×C numbers
    y             = act((x − μ)·scale + offset + residual)         one sweep

    S1, S2        = sums(dy, …)                                    one sweep
    dscale = S2, doffset = S1; the rule's vector-Jacobian product gives dμ, dv, dparameters
    dx            = scale·dz + p·(x − μ) + q                       one sweep
                    p = 2·dv/M,  q = (dμ − scale·S1)/M,  M = H·W

The formulas follow from dv/dx = 2(x − μ)/M and dμ/dx = 1/M. The term −scale·S1 is the part of μ
that centres x; the rule never sees it. So the rules hold no sweep, no backward and no layout, and
a rule that is right forward is right backward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad

from normlab.norms.functional import planes
from normlab.norms.functional.activation import Activation, activate

Rule = Callable[..., tuple[Tensor, Tensor]]
"""rule(mean, variance, *parameters) -> (scale, offset), all N×C, differentiable and pure."""


def plane_norm(
    x: Float[Tensor, "n c h w"],
    rule: Rule,
    parameters: Sequence[Tensor | None] = (),
    residual: Float[Tensor, "n c h w"] | None = None,
    activation: Activation = "none",
) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n c"], Float[Tensor, "n c"]]:
    """Normalize x by the rule; returns y and the planes' mean and variance (without gradient)."""
    if needs_plain_operations():
        y, mean, variance = _plain(x, rule, parameters, residual, activation)
        return y, mean.detach(), variance.detach()
    if needs_gradient(x, residual, *parameters):
        return _PlaneNorm.apply(x, residual, activation, rule, *parameters)  # type: ignore[no-any-return,no-untyped-call]
    mean, variance = planes.statistics(x)
    scale, offset = rule(mean, variance, *parameters)
    return planes.affine(x, mean, scale, offset, residual, activation), mean, variance


def fixed_affine(
    x: Float[Tensor, "n c h w"],
    center: Float[Tensor, " c"],
    scale: Float[Tensor, " c"],
    offset: Float[Tensor, " c"],
    residual: Float[Tensor, "n c h w"] | None = None,
    activation: Activation = "none",
) -> Float[Tensor, "n c h w"]:
    """Apply one map to all samples, by statistics that do not depend on x (running ones)."""
    center, scale, offset = (values.expand(x.shape[:2]) for values in (center, scale, offset))
    # Fine-tuning on frozen statistics where no kernel serves it whole: rare, kept simple.
    if needs_plain_operations() or needs_gradient(x, scale, offset, residual):
        return planes.plain_affine(x, center, scale, offset, residual, activation)
    return planes.affine(x, center, scale, offset, residual, activation)


class _PlaneNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        residual: Tensor | None,
        activation: Activation,
        rule: Rule,
        *parameters: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = planes.statistics(x)
        with torch.enable_grad():  # a graph of N×C numbers, kept for the backward
            leaves = [leaf(t) for t in (mean, variance, *parameters)]
            outputs = rule(*leaves)
        scale, offset = (output.detach() for output in outputs)
        if activation == "silu":  # its derivative is not known from y: keep the pre-activation
            pivot: Tensor | None = planes.affine(x, mean, scale, offset, residual)
            y = activate(pivot, activation)  # type: ignore[arg-type]
        else:
            y = planes.affine(x, mean, scale, offset, residual, activation)
            pivot = y if activation != "none" else None
        ctx.mark_non_differentiable(mean, variance)
        ctx.save_for_backward(x, pivot, residual, mean, scale, *parameters)
        ctx.leaves, ctx.outputs, ctx.rule, ctx.activation = leaves, outputs, rule, activation
        return y, mean, variance

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, pivot, residual, mean, scale, *parameters = ctx.saved_tensors
        if is_differentiated_or_batched(dy):
            needs = (*ctx.needs_input_grad[:2], *ctx.needs_input_grad[4:])
            dx, dz, *others = differentiable_gradients(
                dy, x, residual, ctx.activation, ctx.rule, parameters, needs
            )
            return (dx, dz, None, None, *others)
        needs_x, needs_residual, _, _, *needs_parameters = ctx.needs_input_grad
        s1, s2 = planes.sums(dy, x, mean, pivot, ctx.activation)
        dmean, dvariance, *dparameters = vector_jacobian_product(ctx.outputs, (s2, s1), ctx.leaves)
        m = x.shape[2] * x.shape[3]
        p = torch.zeros_like(s1) if dvariance is None else dvariance * (2 / m)
        q = -scale * s1 if dmean is None else dmean - scale * s1
        dx = dresidual = None
        if needs_x or needs_residual:
            dx, dresidual = planes.affine_backward(
                dy, x, mean, pivot, scale, p, q / m, ctx.activation, needs_dz=needs_residual
            )
        gradients = [g if n else None for g, n in zip(dparameters, needs_parameters, strict=True)]
        return (dx if needs_x else None, dresidual, None, None, *gradients)


def leaf(tensor: Tensor | None) -> Tensor | None:
    """The tensor's values as the beginning of a graph of its own."""
    return None if tensor is None else tensor.detach().requires_grad_()


def vector_jacobian_product(
    outputs: Sequence[Tensor], gradients: Sequence[Tensor], leaves: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """d(leaves) for the given d(outputs); None for a leaf that is None or was not used."""
    pairs = [(o, g) for o, g in zip(outputs, gradients, strict=True) if o.requires_grad]
    present = [leaf for leaf in leaves if leaf is not None]
    found = iter(
        torch.autograd.grad(
            [o for o, _ in pairs],
            present,
            [g for _, g in pairs],
            allow_unused=True,
            retain_graph=True,  # a second backward through the same output is legal in torch
        )
    )
    return [None if leaf is None else next(found) for leaf in leaves]


def needs_gradient(*tensors: Tensor | None) -> bool:
    """Whether autograd must hear of what is made of these."""
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


def residual_or_zeros(ctx: Any, x: Tensor, residual: Tensor | None, needs: bool) -> Tensor | None:
    """The residual for a differentiated backward: where it was not kept because the layer is linear
    in it (`ctx.has_residual`), its value is in no gradient, and zeros stand for it.
    """
    if residual is None and ctx.has_residual:
        return torch.zeros_like(x).requires_grad_(needs)
    return residual


def is_differentiated_or_batched(dy: Tensor) -> bool:
    """Whether a backward is itself differentiated (create_graph) or is one of many in one call
    (is_grads_batched, and by it vectorized Jacobians): plain operations do both.
    """
    return torch.is_grad_enabled() or torch._C._functorch.is_legacy_batchedtensor(dy)


def differentiable_gradients(
    dy: Tensor,
    x: Tensor,
    residual: Tensor | None,
    activation: Activation,
    rule: Rule,
    parameters: Sequence[Tensor | None],
    needs: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    """Gradients of (x, residual, *parameters), where needed, in plain operations."""

    def plain(x: Tensor, residual: Tensor | None, *parameters: Tensor | None) -> Tensor:
        return _plain(x, rule, parameters, residual, activation)[0]

    return gradients_of(plain, dy, (x, residual, *parameters), needs)


def gradients_of(
    plain: Callable[..., Tensor],
    dy: Tensor,
    inputs: Sequence[Tensor | None],
    needs: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    """Gradients of the inputs of `plain`, where needed, that can be differentiated themselves."""
    differentiated = torch.is_grad_enabled()
    with torch.enable_grad():
        # As inputs of this function alone: one may have been computed from another, and autograd
        # would go that way too, which the caller goes by itself.
        own = [None if t is None else t.view_as(t) for t in inputs]
        y = plain(*own)
        wanted = [t for t, n in zip(own, needs, strict=True) if n and t is not None]
        found = iter(
            torch.autograd.grad(y, wanted, dy, create_graph=differentiated, allow_unused=True)
        )
    return tuple(next(found) if n else None for n in needs)


def _plain(
    x: Tensor,
    rule: Rule,
    parameters: Sequence[Tensor | None],
    residual: Tensor | None,
    activation: Activation,
) -> tuple[Tensor, Tensor, Tensor]:
    mean, variance = planes.plain_statistics(x)
    scale, offset = rule(mean, variance, *parameters)
    return planes.plain_affine(x, mean, scale, offset, residual, activation), mean, variance


def needs_plain_operations() -> bool:
    """Whether the four operators give way to plain operations: to compilers, which fuse them."""
    return torch.compiler.is_compiling() or is_traced_or_transformed()


def is_traced_or_transformed() -> bool:
    """Whether plain operations alone are wanted: by exporters and tracers, which write them down,
    and by torch.func's transforms and forward-mode differentiation, which differentiate them.
    """
    return (
        torch.compiler.is_exporting()
        or torch._C._get_tracing_state() is not None
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
    )
