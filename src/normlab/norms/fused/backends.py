"""What computes the fused norms on each kind of device: the compiled kernel, or Triton on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

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
from normlab.norms.fused.cpu import loader
from normlab.norms.fused.triton import serve

# They are looked up once, because each dot costs a quarter of a microsecond; the compiled library
# has put its functions behind them when planes.py was imported.
LIBRARY.define(
    "fused_norm(Tensor x, Tensor? residual, Tensor? weight, Tensor? bias, Tensor? gate, "
    "Tensor(a!)? running_mean, Tensor(b!)? running_variance, Tensor(c!)? batches, "
    "float momentum, bool batch, bool fixed, int groups, float eps, str activation, bool centred)"
    " -> (Tensor, Tensor, Tensor)"
)
LIBRARY.define(
    "fused_norm_backward(Tensor dy, Tensor x, Tensor? residual, Tensor? weight, Tensor? gate, "
    "Tensor planes, Tensor statistics, bool batch, bool fixed, int groups, float eps, "
    "str activation, bool centred, bool needs_dz) -> (Tensor, Tensor?, Tensor, Tensor, Tensor)"
)
_forward_operator = torch.ops.normlab.fused_norm.default
_backward_operator = torch.ops.normlab.fused_norm_backward.default


class Backend(NamedTuple):
    """One implementation of the fused norms."""

    dtypes: tuple[torch.dtype, ...]
    """Dtypes of x that it takes; the parameters are float32."""
    forward: Callable[[Operands, RunningStatistics | None, Scheme], Normalized]
    """forward(operands, running, scheme); moves the running statistics unless they are fixed."""
    backward: Callable[[Tensor, Saved, Scheme, bool], Gradients]
    """backward(dy, saved, scheme, needs_dz)."""
    uncentred: bool = False
    """Whether it serves schemes that are not centred."""


def find_backend(device_type: str) -> Backend | None:
    """What serves tensors on "cpu", "cuda", …; None where the rules in plain operations do."""
    return _backends.get(device_type)


def set_backend(device_type: str, backend: Backend | None) -> Backend | None:
    """Serve tensors of a kind of device by another backend from now on, or by none.

    Returns:
        The backend that served until now.
    """
    before = _backends.pop(device_type, None)
    if backend is not None:
        _backends[device_type] = backend
    return before


def _compiled_forward(
    operands: Operands, running: RunningStatistics | None, scheme: Scheme
) -> Normalized:
    mean, variance, batches, momentum = running or (None, None, None, 0.0)
    momentum = -1.0 if momentum is None else momentum
    return _forward_operator(*operands, mean, variance, batches, momentum, *scheme)  # type: ignore[no-any-return]


def _compiled_backward(dy: Tensor, saved: Saved, scheme: Scheme, needs_dz: bool) -> Gradients:
    x, residual, weight, _, gate, planes, statistics = saved
    return _backward_operator(  # type: ignore[no-any-return]
        dy, x, residual, weight, gate, planes, statistics, *scheme, needs_dz
    )


def triton_backend() -> Backend:
    """The kernels for a GPU; importing Triton waits for the first tensor."""

    def forward(
        operands: Operands, running: RunningStatistics | None, scheme: Scheme
    ) -> Normalized:
        from normlab.norms.fused.triton import fused_norm

        return fused_norm.forward(operands, running, scheme)

    def backward(dy: Tensor, saved: Saved, scheme: Scheme, needs_dz: bool) -> Gradients:
        from normlab.norms.fused.triton import fused_norm

        return fused_norm.backward(dy, saved, scheme, needs_dz)

    return Backend((torch.float32, torch.bfloat16, torch.float16), forward, backward)


_backends: dict[str, Backend] = {}
if loader.library_path() is not None:
    set_backend(
        "cpu", Backend((torch.float32, torch.bfloat16), _compiled_forward, _compiled_backward, True)
    )
if serve.gpu_kernels_available():
    set_backend("cuda", triton_backend())
