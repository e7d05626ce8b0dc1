"""Which tensors the compiled kernel takes in one call."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from normlab.norms.functional.engine import needs_plain_operations
from normlab.norms.fused.cpu import loader

_PLAIN_TYPES = (Tensor, torch.nn.Parameter)
"""A subclass of Tensor may want to see the operations."""


def are_served(x: Tensor, residual: Tensor | None, parameters: Sequence[Tensor | None]) -> bool:
    """Whether a layer with these runs in the kernel: not so for compilers, exporters and tracers.

    Args:
        x: (N, C, H, W).
        residual: of the shape of x.
        parameters: what the layer has a channel, or for all.

    Returns:
        Whether all are on the CPU, x of a dtype that it has, and the parameters float32 in a row.
    """
    return (
        loader.library_path() is not None
        and type(x) in _PLAIN_TYPES
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.bfloat16)
        and x.numel() > 0
        and (residual is None or residual.device.type == "cpu")
        and all(
            t is None
            or (
                t.dtype is torch.float32
                and t.device.type == "cpu"
                and t.dim() == 1
                and t.is_contiguous()
            )
            for t in parameters
        )
        and not needs_plain_operations()
    )
