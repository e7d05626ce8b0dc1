"""Batch normalization, over N, H, W for every channel."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from normlab.errors import UsageError
from normlab.norms.base import Images, RunningNormalization
from normlab.norms.functional import rules
from normlab.norms.functional.activation import Activation
from normlab.norms.layers.apply import normalize_by_running, normalize_over_batch


class BatchNorm2d(RunningNormalization, nn.BatchNorm2d):  # type: ignore[misc]  # γ, β: may be None
    """Batch normalization over N, H, W per channel (Ioffe & Szegedy 2015, algorithms 1 and 2).

    y = γ·(x − μ_c)/√(v_c + ε) + β; in evaluation μ_c and v_c are the running statistics. It is a
    torch.nn.BatchNorm2d to tools that look at the type: see docs/convert.md.

    Args:
        num_features: C.
        eps: ε.
        momentum: the weight of the new batch in the running statistics; None for the average over
            all batches.
        affine: whether there are γ = 1 and β = 0.
        track_running_stats: whether there are running statistics, for evaluation.
        device: of the parameters and buffers.
        dtype: of the parameters and buffers.
        frozen: normalize by the running statistics in training too. They are those of a loaded
            state (mean 0 and variance 1 without one), and γ and β are still trained.

    Shape:
        (N, C, H, W) → (N, C, H, W); γ, β and the running statistics (C,).

    Raises:
        UsageError: frozen without running statistics; in training, one value per channel.

    >>> norm = BatchNorm2d(8)
    >>> norm(torch.randn(4, 8, 6, 6), activation="relu").shape
    torch.Size([4, 8, 6, 6])
    >>> norm.num_batches_tracked
    tensor(1)
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        frozen: bool = False,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)
        if frozen and not track_running_stats:
            raise UsageError("a frozen batch norm needs running statistics; leave them tracked")
        self.frozen = self.needs_running = frozen

    def normalize(self, x: Images, residual: Images | None, activation: Activation) -> Images:
        """See `Normalization.normalize`."""
        if self.uses_running or self.frozen:
            return normalize_by_running(self, x, residual, activation)
        rule = partial(rules.batch, eps=self.eps)
        return normalize_over_batch(
            self, x, rule, (self.weight, self.bias), residual, activation, groups=0
        )
