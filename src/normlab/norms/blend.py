"""The six main norms in one call each way, where the compiled kernel serves.

    y = act(γ·(ρ·(x − m_b)/√(s²_b+ε) + (1 − ρ)·(x − m_g)/√(s²_g+ε)) + β + residual)

b: the statistics of a channel over the batch, or fixed ones; g: those of a group of channels of one
sample. Batch normalization has b alone (ρ = 1), instance, layer and group normalization have g
alone (C, 1 or G groups), batch-instance normalization both. With N×C numbers in the kernel too, a
layer is one call instead of twenty, and a group that fits into the cache is read once.

rules.py says the same in the terms of the papers; it is the oracle of this file, and serves where
this does not: other dtypes and devices, compilers and exporters, ranks, no C++ compiler.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from normlab.norms.engine import Rule, must_stay_plain, plane_norm, twice_differentiable
from normlab.norms.kernels import loader
from normlab.norms.planes import Activation
from normlab.norms.rules import Statistics, over_batch

_library = torch.library.Library("normlab", "FRAGMENT")
_library.define(
    "blend_norm(Tensor x, Tensor? residual, Tensor? weight, Tensor? bias, Tensor? gate, "
    "Tensor? fixed_mean, Tensor? fixed_variance, bool batch, int groups, float eps, "
    "str activation) -> (Tensor, Tensor, Tensor)"
)
_library.define(
    "blend_norm_backward(Tensor dy, Tensor x, Tensor? residual, Tensor? weight, Tensor? gate, "
    "Tensor planes, Tensor statistics, bool batch, bool fixed, int groups, float eps, "
    "str activation, bool needs_dz) -> (Tensor, Tensor?, Tensor)"
)
# Looked up once: each dot costs a quarter of a microsecond.
_forward = torch.ops.normlab.blend_norm.default
_backward = torch.ops.normlab.blend_norm_backward.default
_is_compiled = loader.library_path() is not None
_SERVED = (torch.float32, torch.bfloat16)
_PLAIN = (Tensor, torch.nn.Parameter)
"""A subclass of Tensor may want to see the operations."""


@dataclass(frozen=True, slots=True)
class Blend:
    """Which statistics a norm takes."""

    groups: int
    """Groups of channels of one sample: C instance, 1 layer, 0 none."""
    batch: bool = False
    """Whether those of a channel over the batch have a part."""


def blend_norm(
    x: Float[Tensor, "n c h w"],
    blend: Blend,
    rule: Rule,
    parameters: Sequence[Tensor | None],
    eps: float,
    residual: Float[Tensor, "n c h w"] | None = None,
    activation: Activation = "none",
    fixed: Statistics | None = None,
) -> tuple[Float[Tensor, "n c h w"], Statistics | None]:
    """Normalize x, by the kernel or by the rule that says the same.

    `parameters` are γ, β and, for a blend of both, ρ. `fixed` are the batch part's statistics, each
    (1, C) or (C,), where they do not come from x. Returns y and, where the batch has a part, its
    mean and variance, each (C,).
    """
    weight, bias = parameters[0], parameters[1]
    gate = parameters[2] if len(parameters) > 2 else None
    if not _is_served(x, residual, parameters, fixed):
        y, mean, variance = plane_norm(x, rule, parameters, residual, activation)
        if not blend.batch or fixed is not None:
            return y, None
        merged, spread = over_batch(mean, variance)
        return y, (merged[0], spread[0])
    if torch.is_grad_enabled() and (
        x.requires_grad
        or (residual is not None and residual.requires_grad)
        or any(p is not None and p.requires_grad for p in parameters)
    ):
        y, statistics = _BlendNorm.apply(  # type: ignore[no-untyped-call]
            x, residual, weight, bias, gate, blend, rule, eps, activation, fixed
        )
    else:
        fixed_mean, fixed_variance = fixed or (None, None)
        y, _, statistics = _forward(
            x, residual, weight, bias, gate, fixed_mean, fixed_variance,
            blend.batch, blend.groups, eps, activation,
        )  # fmt: skip
    if not blend.batch or fixed is not None:
        return y, None
    return y, (statistics[0, 0], statistics[1, 0])


class _BlendNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        residual: Tensor | None,
        weight: Tensor | None,
        bias: Tensor | None,
        gate: Tensor | None,
        blend: Blend,
        rule: Rule,
        eps: float,
        activation: Activation,
        fixed: Statistics | None,
    ) -> tuple[Tensor, Tensor]:
        mean, variance = fixed or (None, None)
        y, kept, statistics = _forward(
            x, residual, weight, bias, gate, mean, variance,
            blend.batch, blend.groups, eps, activation,
        )  # fmt: skip
        ctx.mark_non_differentiable(statistics)
        # The pre-activation is computed again from x (and the residual); nothing else is kept.
        known = residual if activation != "none" else None
        ctx.save_for_backward(x, known, weight, bias, gate, kept, statistics)
        ctx.blend, ctx.rule, ctx.eps, ctx.activation = blend, rule, eps, activation
        ctx.fixed = fixed is not None
        ctx.has_residual = residual is not None
        return y, statistics

    @staticmethod
    def backward(ctx: Any, dy: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        x, residual, weight, bias, gate, kept, statistics = ctx.saved_tensors
        needs = ctx.needs_input_grad
        if torch.is_grad_enabled():
            return _again(ctx, dy, x, residual, (weight, bias, gate))
        dx, dz, parameters = _backward(
            dy, x, residual, weight, gate, kept, statistics,
            ctx.blend.batch, ctx.fixed, ctx.blend.groups, ctx.eps, ctx.activation, needs[1],
        )  # fmt: skip
        return (
            dx if needs[0] else None,
            dz,
            parameters[0, 0] if needs[2] else None,
            parameters[1, 0] if needs[3] else None,
            parameters[2, 0] if needs[4] else None,
            None, None, None, None, None,
        )  # fmt: skip


def _again(
    ctx: Any, dy: Tensor, x: Tensor, residual: Tensor | None, parameters: tuple[Tensor | None, ...]
) -> tuple[Tensor | None, ...]:
    """The backward as a differentiable function (create_graph=True), by the rule."""
    used = parameters if ctx.blend.batch and ctx.blend.groups else parameters[:2]
    if residual is None and ctx.has_residual:  # linear: its value has no part in any gradient
        residual = torch.zeros_like(x).requires_grad_(ctx.needs_input_grad[1])
    found = twice_differentiable(
        dy, x, residual, ctx.activation, ctx.rule, used, ctx.needs_input_grad[: 2 + len(used)]
    )
    return (*found, *(None,) * (10 - len(found)))


def _is_served(
    x: Tensor,
    residual: Tensor | None,
    parameters: Sequence[Tensor | None],
    fixed: Statistics | None,
) -> bool:
    if not (_is_compiled and x.is_cpu and x.dtype in _SERVED and type(x) in _PLAIN and x.numel()):
        return False
    if must_stay_plain() or (residual is not None and not residual.is_cpu):
        return False
    others = (*parameters, *(fixed or ()))
    return all(t is None or (t.is_cpu and t.dtype is torch.float32) for t in others)
