"""The six main norms in one call each way, where a kernel serves: compiled, or Triton on a GPU.

    y = act(γ·(ρ·(x − m_b)/√(s²_b+ε) + (1 − ρ)·(x − m_g)/√(s²_g+ε)) + β + residual)

b: the statistics of a channel over the batch, or fixed ones; g: those of a group of channels of one
sample. Batch normalization has b alone (ρ = 1), instance, layer and group normalization have g
alone (C, 1 or G groups), batch-instance normalization both. With N×C numbers in the kernel too, a
layer is one call instead of twenty, and a group that fits into the cache is read once.

rules.py says the same in the terms of the papers; it is the oracle of this file, and serves where
this does not: other dtypes and devices, exporters, ranks, no C++ compiler. Code from torch.compile
calls it as one operator (blend_operator.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from normlab.norms.functional import planes
from normlab.norms.functional.engine import (
    Rule,
    gradients_as_a_function,
    must_not_be_ours,
    require_callable,
)
from normlab.norms.functional.planes import Activation
from normlab.norms.fused.cpu import loader
from normlab.norms.fused.operator import blend, register
from normlab.norms.fused.triton import serve

_library = torch.library.Library("normlab", "FRAGMENT")
_library.define(
    "blend_norm(Tensor x, Tensor? residual, Tensor? weight, Tensor? bias, Tensor? gate, "
    "Tensor(a!)? running_mean, Tensor(b!)? running_variance, Tensor(c!)? batches, "
    "float momentum, bool fixed, bool batch, int groups, float eps, str activation)"
    " -> (Tensor, Tensor, Tensor)"
)
_library.define(
    "blend_norm_backward(Tensor dy, Tensor x, Tensor? residual, Tensor? weight, Tensor? gate, "
    "Tensor planes, Tensor statistics, bool batch, bool fixed, int groups, float eps, "
    "str activation, bool needs_dz) -> (Tensor, Tensor?, Tensor, Tensor, Tensor)"
)
# Looked up once: each dot costs a quarter of a microsecond.
_forward = torch.ops.normlab.blend_norm.default
_backward = torch.ops.normlab.blend_norm_backward.default
_is_compiled = loader.library_path() is not None
_is_there = serve.is_there()
_is_interpreted = False
"""Whether Triton's interpreter serves tensors of the CPU; see `interpret`."""
_SERVED = {
    "cpu": (torch.float32, torch.bfloat16),
    "cuda": (torch.float32, torch.bfloat16, torch.float16),
}
_PLAIN = (Tensor, torch.nn.Parameter)
"""A subclass of Tensor may want to see the operations."""


register()


class Running(NamedTuple):
    """Running statistics, each (C,), and what to do with them."""

    mean: Tensor
    variance: Tensor
    batches: Tensor
    """How many batches they have seen."""
    momentum: float | None
    """Weight of the new batch; None: the average over all."""
    fixed: bool
    """Whether they stand for the batch's statistics, and stay as they are."""


def blend_norm(
    x: Float[Tensor, "n c h w"],
    parameters: Sequence[Tensor | None],
    eps: float,
    residual: Float[Tensor, "n c h w"] | None,
    activation: Activation,
    rule: Rule,
    *,
    groups: int,
    batch: bool = False,
    running: Running | None = None,
) -> Float[Tensor, "n c h w"] | None:
    """Normalize x and move the running statistics; None where the kernel does not serve.

    Args:
        x: of any memory format.
        parameters: γ, β and, for a blend of both parts, ρ.
        eps: ε.
        residual: added before the activation.
        activation: what follows.
        rule: says the same in plain operations, for a backward that is itself differentiated.
        groups: groups of channels of one sample (C instance, 1 layer); 0 for no such part.
        batch: whether the statistics of a channel over the batch have a part.
        running: the running statistics of the batch's part.
    """
    if not _is_served(x, residual, parameters, running):
        return None
    weight, bias = parameters[0], parameters[1]
    gate = parameters[2] if len(parameters) > 2 else None
    if torch.compiler.is_compiling():
        if not (x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)):
            return None  # the compiler wants to know the strides of y
        return _in_compiled_code(
            x, residual, weight, bias, gate, running, batch, groups, eps, activation
        )
    arguments = (x, residual, weight, bias, gate, running, batch, groups, eps, activation)
    if torch.is_grad_enabled() and (
        x.requires_grad
        or (residual is not None and residual.requires_grad)
        or any(p is not None and p.requires_grad for p in parameters)
    ):
        return _BlendNorm.apply(*arguments, rule)  # type: ignore[no-untyped-call,no-any-return]
    return _call_forward(*arguments)[0]


def _in_compiled_code(
    x: Tensor,
    residual: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    gate: Tensor | None,
    running: Running | None,
    batch: bool,
    groups: int,
    eps: float,
    activation: Activation,
) -> Tensor:
    fixed = (running.mean, running.variance) if running is not None and running.fixed else None
    y, _, found = blend(x, residual, weight, bias, gate, fixed, batch, groups, eps, activation)
    if running is not None and not running.fixed:
        count = x.shape[0] * x.shape[2] * x.shape[3]
        running.batches.add_(1)
        share: Any = running.momentum
        if share is None:
            share = 1.0 / running.batches.to(torch.float32)
        unbiased = found[1, 0] * (count / max(count - 1, 1))
        running.mean.lerp_(found[0, 0].detach(), share)
        running.variance.lerp_(unbiased.detach(), share)
    return y


def _call_forward(
    x: Tensor,
    residual: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    gate: Tensor | None,
    running: Running | None,
    batch: bool,
    groups: int,
    eps: float,
    activation: Activation,
) -> tuple[Tensor, Tensor, Tensor]:
    mean, variance, batches, momentum, fixed = running or (None, None, None, 0.0, False)
    momentum = -1.0 if momentum is None else momentum
    forward = _forward if _is_compiled_for(x) else serve.blend_functions()[0]
    return forward(  # type: ignore[no-any-return]
        x, residual, weight, bias, gate, mean, variance, batches, momentum, fixed,
        batch, groups, eps, activation,
    )  # fmt: skip


class _BlendNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        residual: Tensor | None,
        weight: Tensor | None,
        bias: Tensor | None,
        gate: Tensor | None,
        running: Running | None,
        batch: bool,
        groups: int,
        eps: float,
        activation: Activation,
        rule: Rule,
    ) -> Tensor:
        y, planes, statistics = _call_forward(
            x, residual, weight, bias, gate, running, batch, groups, eps, activation
        )
        # The pre-activation is computed again from x (and the residual); nothing else is kept.
        known = residual if activation != "none" else None
        ctx.save_for_backward(x, known, weight, bias, gate, planes, statistics)
        fixed = running is not None and running.fixed
        ctx.how = (batch, fixed, groups, eps, activation)
        ctx.rule = rule
        ctx.has_residual = residual is not None
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, residual, weight, bias, gate, planes, statistics = ctx.saved_tensors
        needs = ctx.needs_input_grad
        if require_callable(dy):
            return _again(ctx, dy, x, residual, weight, bias, gate)
        backward = _backward if _is_compiled_for(x) else serve.blend_functions()[1]
        dx, dz, dweight, dbias, dgate = backward(
            dy, x, residual, weight, gate, planes, statistics, *ctx.how, needs[1]
        )
        return (
            dx if needs[0] else None,
            dz,
            dweight if needs[2] else None,
            dbias if needs[3] else None,
            dgate if needs[4] else None,
            None, None, None, None, None, None,
        )  # fmt: skip


def _again(
    ctx: Any,
    dy: Tensor,
    x: Tensor,
    residual: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    gate: Tensor | None,
) -> tuple[Tensor | None, ...]:
    """The backward by the rule, in plain operations: see `require_callable`."""
    *_, activation = ctx.how
    if residual is None and ctx.has_residual:  # linear: its value has no part in any gradient
        residual = torch.zeros_like(x).requires_grad_(ctx.needs_input_grad[1])
    used = (weight, bias) if gate is None else (weight, bias, gate)
    needs = ctx.needs_input_grad[: 2 + len(used)]
    found = gradients_as_a_function(dy, x, residual, activation, ctx.rule, used, needs)
    return (*found, *(None,) * (11 - len(found)))


def _is_served(
    x: Tensor,
    residual: Tensor | None,
    parameters: Sequence[Tensor | None],
    running: Running | None,
) -> bool:
    if not (_serves(x.device.type, x.dtype) and type(x) in _PLAIN and x.numel()):
        return False
    index = x.get_device()  # −1 for the CPU; cheaper than comparing devices
    if must_not_be_ours() or (residual is not None and residual.get_device() != index):
        return False
    if running is not None and not (
        running.batches.get_device() == index and running.batches.dtype is torch.int64
    ):
        return False
    others = (*parameters, *(running[:2] if running else ()))
    return all(
        t is None
        or (
            t.get_device() == index
            and t.dtype is torch.float32
            and t.dim() == 1
            and t.is_contiguous()
        )
        for t in others
    )


def _serves(device: str, dtype: torch.dtype) -> bool:
    if device == "cpu" and _is_interpreted:
        return dtype in _SERVED["cuda"]
    if device == "cpu":
        return _is_compiled and dtype in _SERVED["cpu"]
    return device == "cuda" and _is_there and dtype in _SERVED["cuda"]


def _is_compiled_for(x: Tensor) -> bool:
    return x.is_cpu and not _is_interpreted


def interpret() -> None:
    """From here on Triton's interpreter serves tensors of the CPU: for tests of the GPU's kernels.

    The process must have been started with TRITON_INTERPRET=1 and NORMLAB_KERNELS=0.
    """
    global _is_interpreted
    serve.serve_cpu(planes._library, planes._REFERENCE)
    _is_interpreted = True
