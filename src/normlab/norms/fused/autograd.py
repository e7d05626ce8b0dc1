"""The six main norms, rms and ibn in one call each way, where a kernel serves.

    y = act(γ·(ρ·(x − m_b)/√(s²_b+ε) + (1 − ρ)·(x − m_g)/√(s²_g+ε)) + β + residual)

b: the statistics of a channel over the batch, or fixed ones; g: those of a group of channels of one
sample. Batch normalization has b alone (ρ = 1), instance, layer and group normalization have g
alone (C, 1 or G groups), batch-instance normalization both; root mean square normalization is layer
normalization whose m_g is 0, IBN-a batch-instance normalization whose ρ is 0 or 1. With N×C numbers
in the kernel too, a layer is one call instead of twenty, and a group that fits into the cache is
read once. The kernel is the compiled one, or Triton's on a GPU (not for rms).

rules.py says the same in the terms of the papers; it is the oracle of this file, and serves where
this does not: other dtypes and devices, exporters, ranks, no C++ compiler. Code from torch.compile
calls it as one operator (compiled_graph.py).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from normlab.norms.functional.engine import (
    Rule,
    differentiable_gradients,
    is_differentiated_or_batched,
    is_traced_or_transformed,
    residual_or_zeros,
)
from normlab.norms.fused.arguments import Operands, RunningStatistics, Saved, Scheme
from normlab.norms.fused.backends import Backend, find_backend
from normlab.norms.fused.compiled_graph import fused_norm_in_graph

_PLAIN_TYPES = (Tensor, torch.nn.Parameter)
"""A subclass of Tensor may want to see the operations."""


def fused_norm(
    operands: Operands, running: RunningStatistics | None, scheme: Scheme, rule: Rule
) -> Tensor | None:
    """Normalize x and move the running statistics; None where no kernel serves.

    Args:
        operands: x (N, C, H, W), the residual and the parameters.
        running: the running statistics of the batch's part.
        scheme: which of the six norms it is, and the activation that follows.
        rule: the same in plain operations, for a backward that is itself differentiated.

    Returns:
        y with the shape, dtype and memory format of x, or None.

    >>> from functools import partial
    >>> from normlab.norms.functional import rules
    >>> x = torch.randn(2, 8, 4, 4)
    >>> scheme = Scheme(batch=False, fixed=False, groups=1, eps=1e-5, activation="relu")
    >>> rule = partial(rules.layer, eps=scheme.eps)
    >>> y = fused_norm(Operands(x, None, None, None, None), None, scheme, rule)
    >>> y is None or y.shape == x.shape
    True
    """
    backend = serving_backend(operands, running)
    if backend is None or not (scheme.centred or backend.uncentred):
        return None
    x, residual, weight, bias, gate = operands
    if torch.compiler.is_compiling():
        if not (x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)):
            return None  # the compiler wants to know the strides of y
        return fused_norm_in_graph(operands, running, scheme)
    if torch.is_grad_enabled() and (
        x.requires_grad
        or (residual is not None and residual.requires_grad)
        or (weight is not None and weight.requires_grad)
        or (bias is not None and bias.requires_grad)
        or (gate is not None and gate.requires_grad)
    ):
        return _FusedNorm.apply(*operands, operands, _Call(running, scheme, rule, backend))  # type: ignore[no-untyped-call,no-any-return]
    return backend.forward(operands, running, scheme)[0]


def serving_backend(operands: Operands, running: RunningStatistics | None) -> Backend | None:
    """The backend that takes these very tensors; None where the rules in plain operations serve."""
    x, residual, weight, bias, gate = operands
    backend = find_backend(x.device.type)
    if backend is None or x.dtype not in backend.dtypes:
        return None
    if type(x) not in _PLAIN_TYPES or not x.numel():
        return None
    index = x.get_device()  # −1 for the CPU; cheaper than comparing devices
    if is_traced_or_transformed() or (residual is not None and residual.get_device() != index):
        return None
    channel_values: tuple[Tensor | None, ...] = (weight, bias, gate)
    if running is not None:
        mean, variance, batches, _ = running
        if batches is None or batches.get_device() != index or batches.dtype is not torch.int64:
            return None
        channel_values = (weight, bias, gate, mean, variance)
    for t in channel_values:  # a loop, because all() of a generator takes twice as long
        if t is not None and not (
            t.get_device() == index
            and t.dtype is torch.float32
            and t.dim() == 1
            and t.is_contiguous()
        ):
            return None
    return backend


class _Call(NamedTuple):
    """All but the tensors that may need a gradient."""

    running: RunningStatistics | None
    scheme: Scheme
    rule: Rule
    backend: Backend


class _FusedNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        residual: Tensor | None,
        weight: Tensor | None,
        bias: Tensor | None,
        gate: Tensor | None,
        operands: Operands,
        call: _Call,
    ) -> Tensor:
        y, planes, statistics = call.backend.forward(operands, call.running, call.scheme)
        # The pre-activation is computed again from x (and the residual); nothing else is kept.
        known = residual if call.scheme.activation != "none" else None
        ctx.save_for_backward(x, known, weight, bias, gate, planes, statistics)
        ctx.call = call
        ctx.has_residual = residual is not None
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        needs = ctx.needs_input_grad
        if is_differentiated_or_batched(dy):
            return _differentiable_backward(ctx, dy, Saved(*ctx.saved_tensors))
        call: _Call = ctx.call
        dx, dz, dweight, dbias, dgate = call.backend.backward(
            dy, ctx.saved_tensors, call.scheme, needs[1]
        )
        return (
            dx if needs[0] else None,
            dz,
            dweight if needs[2] else None,
            dbias if needs[3] else None,
            dgate if needs[4] else None,
            None, None,
        )  # fmt: skip


def _differentiable_backward(ctx: Any, dy: Tensor, saved: Saved) -> tuple[Tensor | None, ...]:
    """The backward by the rule, in plain operations: see `is_differentiated_or_batched`."""
    residual = residual_or_zeros(ctx, saved.x, saved.residual, ctx.needs_input_grad[1])
    used = [saved.weight, saved.bias]
    used += [] if saved.gate is None else [saved.gate]
    needs = ctx.needs_input_grad[: 2 + len(used)]
    found = differentiable_gradients(
        dy, saved.x, residual, ctx.call.scheme.activation, ctx.call.rule, used, needs
    )
    return (*found, *(None,) * (7 - len(found)))
