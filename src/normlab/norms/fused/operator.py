"""The six main norms as one operator inside of torch.compile, in place of plain operations.

What inductor makes of those takes 3 to 25 times as long as the kernel on a CPU (see
docs/benchmarks.md). An operator in a compiled graph must not write to its arguments, so the running
statistics are moved by plain operations beside it. Exporters do get
plain operations: a program for elsewhere must not hold an operator that only normlab has.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from normlab.norms.fused.triton import serve

_library = torch.library.Library("normlab", "FRAGMENT")
_library.define(
    "blend(Tensor x, Tensor? residual, Tensor? weight, Tensor? bias, Tensor? gate, "
    "Tensor? fixed_mean, Tensor? fixed_variance, bool batch, int groups, float eps, "
    "str activation) -> (Tensor, Tensor, Tensor)"
)
OPERATOR = torch.ops.normlab.blend.default


def blend(
    x: Tensor,
    residual: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    gate: Tensor | None,
    fixed: tuple[Tensor, Tensor] | None,
    batch: bool,
    groups: int,
    eps: float,
    activation: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """y, the planes' rows (4, N, C), the batch's mean and variance (2, 1, C); see blend.py."""
    mean, variance = fixed or (None, None)
    found: tuple[Tensor, Tensor, Tensor] = OPERATOR(
        x, residual, weight, bias, gate, mean, variance, batch, groups, eps, activation
    )
    return found


def _serve_cpu(
    x: Tensor,
    residual: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    gate: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    batch: bool,
    groups: int,
    eps: float,
    activation: str,
) -> tuple[Tensor, Tensor, Tensor]:
    y, planes, found = torch.ops.normlab.blend_norm(
        x, residual, weight, bias, gate, mean, variance, None, 0.0, mean is not None,
        batch, groups, eps, activation,
    )  # fmt: skip
    return y, planes, found if batch else found.zero_()  # nobody's memory is no result


def _serve_cuda(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    *tensors, batch, groups, eps, activation = arguments
    fixed = tensors[5] is not None
    found: tuple[Tensor, Tensor, Tensor] = serve.blend_functions()[0](
        *tensors, None, 0.0, fixed, batch, groups, eps, activation
    )
    return found


def _serve_cuda_backward(*arguments: Any) -> tuple[Tensor | None, ...]:
    found: tuple[Tensor | None, ...] = serve.blend_functions()[1](*arguments)
    return found


def _shapes(x: Tensor, *arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    n, c = x.shape[:2]
    batch, groups = arguments[6], arguments[7]
    by_group = x.device.type == "cuda" and not batch and 0 < groups < c
    found = x.new_empty((2, n, groups) if by_group else (2, 1, c), dtype=torch.float32)
    return torch.empty_like(x), x.new_empty((4, n, c), dtype=torch.float32), found


def _backward_shapes(dy: Tensor, x: Tensor, *arguments: Any) -> tuple[Tensor | None, ...]:
    gradients = (x.new_empty(x.shape[1], dtype=torch.float32) for _ in range(3))
    return torch.empty_like(x), torch.empty_like(x) if arguments[-1] else None, *gradients


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, residual, weight, bias, gate, mean, _, batch, groups, eps, activation = inputs
    _, planes, found = output
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(
        x, residual if activation != "none" else None, weight, gate, planes, found
    )
    ctx.how = (batch, mean is not None, groups, eps, activation)
    ctx.has = (residual is not None, weight is not None, bias is not None, gate is not None)


def _backward(ctx: Any, dy: Tensor | None, *_: Tensor | None) -> tuple[Tensor | None, ...]:
    if dy is None:
        return (None,) * 11
    has_residual, *has = ctx.has
    dx, dz, *gradients = torch.ops.normlab.blend_norm_backward(
        dy, *ctx.saved_tensors, *ctx.how, has_residual
    )
    own = (g if there else None for g, there in zip(gradients, has, strict=True))
    return dx, dz, *own, None, None, None, None, None, None


def register() -> None:
    """Behind torch's dispatcher; the backward is defined and served on the CPU by blend.py."""
    _library.impl("blend", _serve_cpu, "CPU")
    if serve.is_there():
        _library.impl("blend", _serve_cuda, "CUDA")
        _library.impl("blend_norm_backward", _serve_cuda_backward, "CUDA")
    torch.library.register_fake("normlab::blend", _shapes, lib=_library)
    torch.library.register_fake("normlab::blend_norm_backward", _backward_shapes, lib=_library)
    torch.library.register_autograd("normlab::blend", _backward, setup_context=_keep, lib=_library)
