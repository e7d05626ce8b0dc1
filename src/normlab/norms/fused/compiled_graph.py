"""The six main norms as one operator inside of torch.compile, in place of plain operations.

What inductor makes of those takes 3 to 25 times as long as the kernel on a CPU (see
docs/benchmarks.md). An operator in a compiled graph must not write to its arguments, so the running
statistics are moved by plain operations after it. Exporters do get plain operations: a program for
elsewhere must not hold an operator that only normlab has.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from normlab.norms.functional.planes import LIBRARY
from normlab.norms.fused.arguments import (
    Gradients,
    Normalized,
    Operands,
    RunningStatistics,
    Saved,
    Scheme,
)
from normlab.norms.fused.backends import find_backend
from normlab.norms.fused.triton import serve

LIBRARY.define(
    "fused_norm_of_graph(Tensor x, Tensor? residual, Tensor? weight, Tensor? bias, Tensor? gate, "
    "Tensor? fixed_mean, Tensor? fixed_variance, bool batch, bool fixed, int groups, float eps, "
    "str activation, bool centred) -> (Tensor, Tensor, Tensor)"
)
OPERATOR = torch.ops.normlab.fused_norm_of_graph.default
"""Takes (*operands, fixed_mean, fixed_variance, *scheme) and gives a `Normalized`.

Inductor keeps graphs on disk by the names in them: where a result gets another shape, the operator
needs another name, or a graph of an older version fails."""
_INPUTS = 13


def fused_norm_in_graph(
    operands: Operands, running: RunningStatistics | None, scheme: Scheme
) -> Tensor:
    """The normalization as one operator, and the running statistics moved after it.

    Args:
        operands: x (N, C, H, W), the residual and the parameters.
        running: the running statistics of the batch's part.
        scheme: which of the six norms it is, and the activation that follows.

    Returns:
        y, with the shape, dtype and memory format of x.
    """
    mean = running.mean if running is not None and scheme.fixed else None
    variance = running.variance if running is not None and scheme.fixed else None
    found: tuple[Tensor, Tensor, Tensor] = OPERATOR(*operands, mean, variance, *scheme)
    y, _, statistics = found
    if running is not None and not scheme.fixed:
        x = operands.x
        _move(running, statistics, x.shape[0] * x.shape[2] * x.shape[3])
    return y


def _move(running: RunningStatistics, statistics: Tensor, count: int) -> None:
    """Move running statistics towards those of a batch of `count` values a channel."""
    assert running.batches is not None
    running.batches.add_(1)
    share: Any = running.momentum
    if share is None:
        share = 1.0 / running.batches.to(torch.float32)
    unbiased = statistics[1, 0] * (count / max(count - 1, 1))
    running.mean.lerp_(statistics[0, 0].detach(), share)
    running.variance.lerp_(unbiased.detach(), share)


def _split(flat: tuple[Any, ...]) -> tuple[Operands, tuple[Tensor | None, Tensor | None], Scheme]:
    """The operator's flat arguments by name: operands, fixed mean and variance, scheme."""
    return Operands(*flat[:5]), (flat[5], flat[6]), Scheme(*flat[7:])


def _forward(*flat: Any) -> Normalized:
    operands, (mean, variance), scheme = _split(flat)
    backend = find_backend(operands.x.device.type)
    assert backend is not None
    running = None
    if mean is not None and variance is not None:
        running = RunningStatistics(mean, variance, None, 0.0)
    return backend.forward(operands, running, scheme)


def _forward_on_cpu(*flat: Any) -> Normalized:
    y, planes, statistics = _forward(*flat)
    _, _, scheme = _split(flat)
    # Without a batch's part nobody has written there, and what lies in memory is no result.
    return Normalized(y, planes, statistics if scheme.batch else statistics.zero_())


def _backward_on_gpu(dy: Tensor, *flat: Any) -> Gradients:
    x, residual, weight, gate, planes, statistics, *scheme, needs_dz = flat
    saved = Saved(x, residual, weight, None, gate, planes, statistics)
    backend = find_backend("cuda")
    assert backend is not None
    return backend.backward(dy, saved, Scheme(*scheme), needs_dz)


def _shapes(*flat: Any) -> Normalized:
    """Empty tensors of the shapes, dtypes and strides that the operator gives."""
    operands, _, scheme = _split(flat)
    x = operands.x
    n, c = x.shape[:2]
    by_group = x.device.type == "cuda" and not scheme.batch and 0 < scheme.groups < c
    shape = (2, n, scheme.groups) if by_group else (2, 1, c)
    statistics = x.new_empty(shape, dtype=torch.float32)
    by_channel = x.device.type != "cuda" and not scheme.groups and operands.gate is None
    planes = x.new_empty((4, 1 if by_channel else n, c), dtype=torch.float32)
    return Normalized(torch.empty_like(x), planes, statistics)


def _backward_shapes(dy: Tensor, x: Tensor, *flat: Any) -> tuple[Tensor | None, ...]:
    """Empty tensors of what `fused_norm_backward` gives; its last argument: is dz needed?"""
    dweight, dbias, dgate = (x.new_empty(x.shape[1], dtype=torch.float32) for _ in range(3))
    return torch.empty_like(x), torch.empty_like(x) if flat[-1] else None, dweight, dbias, dgate


def _set_up(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    (x, residual, weight, bias, gate), _, scheme = _split(inputs)
    _, planes, statistics = output
    ctx.set_materialize_grads(False)
    known = residual if scheme.activation != "none" else None
    ctx.save_for_backward(x, known, weight, gate, planes, statistics)
    ctx.scheme = scheme
    ctx.given = [t is not None for t in (residual, weight, bias, gate)]


def _backward(ctx: Any, dy: Tensor | None, *_: Tensor | None) -> tuple[Tensor | None, ...]:
    if dy is None:
        return (None,) * _INPUTS
    has_residual, *has_parameter = ctx.given
    dx, dz, *gradients = torch.ops.normlab.fused_norm_backward(
        dy, *ctx.saved_tensors, *ctx.scheme, has_residual
    )
    own = [g if has else None for g, has in zip(gradients, has_parameter, strict=True)]
    return (dx, dz, *own, *(None,) * (_INPUTS - 2 - len(own)))


LIBRARY.impl("fused_norm_of_graph", _forward_on_cpu, "CPU")
if serve.gpu_kernels_available():
    LIBRARY.impl("fused_norm_of_graph", _forward, "CUDA")
    LIBRARY.impl("fused_norm_backward", _backward_on_gpu, "CUDA")
torch.library.register_fake("normlab::fused_norm_of_graph", _shapes, lib=LIBRARY)
torch.library.register_fake("normlab::fused_norm_backward", _backward_shapes, lib=LIBRARY)
torch.library.register_autograd(
    "normlab::fused_norm_of_graph", _backward, setup_context=_set_up, lib=LIBRARY
)
