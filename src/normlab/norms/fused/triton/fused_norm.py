"""A whole layer of the six main norms: three launches each way, sweep, rule, sweep."""

from __future__ import annotations

import torch
import triton
from torch import Tensor

from normlab.norms.fused.arguments import (
    Gradients,
    Normalized,
    Operands,
    RunningStatistics,
    Saved,
    Scheme,
)
from normlab.norms.fused.triton import rule
from normlab.norms.fused.triton.operators import (
    apply_affine,
    apply_backward,
    dense,
    merge_options,
    on_its_device,
    partial_statistics,
    partial_sums,
    pointer,
    sample_block,
)


def forward(operands: Operands, running: RunningStatistics | None, scheme: Scheme) -> Normalized:
    """Normalize, and move the running statistics unless they are fixed.

    Args:
        operands: x (N, C, H, W) of a served dtype, the residual and the parameters (C,).
        running: the running statistics of the batch's part.
        scheme: which of the six norms it is, and the activation that follows.

    Returns:
        y, the planes' rows (4, N, C), and the statistics of the batch (2, 1, C) or of the groups
        (2, N, G).
    """
    x, residual, weight, bias, gate = operands
    batch, fixed, groups, eps, activation, _ = scheme
    mean_now, variance_now, batches, momentum = running or (None, None, None, 0.0)
    with on_its_device(x):
        x = dense(x)
        n, c, h, w = x.shape
        mean, spread, chunk = partial_statistics(x)
        rows = torch.empty((4, n, c), dtype=torch.float32, device=x.device)
        if _by_group(batch, groups, c):
            found = torch.empty((2, n, groups), dtype=torch.float32, device=x.device)
            rule.group_forward_kernel[(n * groups,)](
                mean, spread, pointer(weight, found), pointer(bias, found), rows, found,
                n * c, c, h * w, mean.shape[0], chunk, groups, c // groups, eps,
                HAS_WEIGHT=weight is not None, HAS_BIAS=bias is not None,
                BLOCK=triton.next_power_of_2(c // groups), **merge_options(mean),
            )  # fmt: skip
        else:
            found = torch.empty((2, 1, c), dtype=torch.float32, device=x.device)
            tracks = batch and not fixed and batches is not None
            if tracks and batches is not None:
                batches.add_(1)
            rule.channel_forward_kernel[(c,)](
                mean, spread, pointer(weight, found), pointer(bias, found),
                pointer(gate, found), pointer(mean_now, found), pointer(variance_now, found),
                pointer(batches, found), rows, found, n, c, h * w, mean.shape[0], chunk, eps,
                0.0 if momentum is None else momentum,
                BATCH=batch, FIXED=fixed, INSTANCE=groups > 0, TRACKS=tracks,
                AVERAGES=momentum is None, HAS_WEIGHT=weight is not None, HAS_BIAS=bias is not None,
                HAS_GATE=gate is not None, BLOCK=sample_block(n), **merge_options(mean),
            )  # fmt: skip
        y = apply_affine(x, rows[0], rows[2], rows[3], residual, activation, reverse=True)
    return Normalized(y, rows, found)


def backward(dy: Tensor, saved: Saved, scheme: Scheme, needs_dz: bool) -> Gradients:
    """Gradients of the operands.

    Args:
        dy: the gradient of y, in any layout.
        saved: what the forward was given and gave.
        scheme: the forward's.
        needs_dz: whether the gradient of the residual is asked for.

    Returns:
        dx, dz (None unless it is needed), dγ, dβ and dρ.
    """
    x, residual, weight, _, gate, planes, statistics = saved
    batch, fixed, groups, eps, activation, _ = scheme
    with on_its_device(x):
        x = dense(x)
        n, c, h, w = x.shape
        rows = (planes[0], planes[2], planes[3])
        kind = "residual" if residual is not None else "none"
        one, two = partial_sums(dy, x, rows, residual, kind, activation)
        slopes = torch.empty((2, n, c), dtype=torch.float32, device=x.device)
        gradients = torch.empty((3, c), dtype=torch.float32, device=x.device)
        if _by_group(batch, groups, c):
            rule.group_backward_kernel[(n * groups + c,)](
                planes, statistics, one, two, pointer(weight, gradients), slopes, gradients,
                n, c, h * w, one.shape[0], groups, c // groups, eps,
                HAS_WEIGHT=weight is not None, BLOCK=triton.next_power_of_2(c // groups),
                BLOCK_N=sample_block(n), **merge_options(one),
            )  # fmt: skip
        else:
            rule.channel_backward_kernel[(c,)](
                planes, statistics, one, two, pointer(weight, gradients),
                pointer(gate, gradients), slopes, gradients, n, c, h * w, one.shape[0], eps,
                BATCH=batch, FIXED=fixed, INSTANCE=groups > 0,
                HAS_WEIGHT=weight is not None, HAS_GATE=gate is not None,
                BLOCK=sample_block(n), **merge_options(one),
            )  # fmt: skip
        dx, dz = apply_backward(
            dy, x, rows, (slopes[0], slopes[1]), residual, kind, activation,
            needs_dz=needs_dz, reverse=True,
        )  # fmt: skip
    return Gradients(dx, dz, gradients[0], gradients[1], gradients[2])


def _by_group(batch: bool, groups: int, channels: int) -> bool:
    """Layer and group normalization; an instance is a group of one channel, and goes by channel."""
    return not batch and 0 < groups < channels
