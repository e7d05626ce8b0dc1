"""Batch statistics pooled over the ranks of a process group, and their gradient.

Every rank sends the count, mean and variance of its own part of the batch, 2C+1 numbers a layer;
the pooled statistics follow exactly, whatever the parts' sizes:

    n = Σ_r n_r,   m = Σ_r n_r·m_r / n,   s² = Σ_r n_r·(s²_r + (m_r − m)²) / n

The gradient goes back the same way: a rank's own statistics moved the outputs of all ranks. So
every rank must call every layer, forward and backward, in the same order; a rank without a sample
takes part with an empty batch.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable

from normlab.errors import UsageError
from normlab.norms.functional.rules import Statistics


class RankPool:
    """Pools statistics over the batch and the ranks, and remembers what it found."""

    def __init__(self, group: distributed.ProcessGroup | None, plane_size: int, name: str) -> None:
        """For planes of `plane_size` values; `name` is that of the layer, for the error."""
        self._group = group
        self._plane_size = plane_size
        self._name = name

    def __call__(self, mean: Float[Tensor, "n c"], variance: Float[Tensor, "n c"]) -> Statistics:
        """Mean and biased variance (1, C) of each channel over the batches of all ranks.

        Raises:
            UsageError: all ranks together have one value a channel.
        """
        samples, channels = mean.shape
        own_mean = mean.sum(0) / max(samples, 1)  # not mean(0): the part may be empty
        own_variance = (variance + (mean - own_mean).square()).sum(0) / max(samples, 1)
        count = mean.new_full((1,), samples * self._plane_size)
        parts = cast(
            "Tensor",
            _Gather.apply(torch.cat([own_mean, own_variance, count]), self._group),  # type: ignore[no-untyped-call]
        )
        means, variances, counts = parts.split([channels, channels, 1], dim=1)
        total = counts.detach().sum()
        # On an accelerator the number stays there: to look at it would be to wait for it.
        self.count: int | Tensor = int(total) if total.device.type == "cpu" else total
        if isinstance(self.count, int) and self.count == 1:
            raise UsageError(
                f"{self._name} needs more than 1 value per statistic in training, got 1 on all "
                "ranks together; use a larger batch or image"
            )
        share = counts.detach() / total.clamp(min=1)
        pooled = (share * means).sum(0, keepdim=True)
        spread = (share * (variances + (means - pooled).square())).sum(0, keepdim=True)
        self.found = pooled.detach(), spread.detach()
        return pooled, spread


def average_over_ranks(
    total: Tensor, weight: float, group: distributed.ProcessGroup | None
) -> tuple[Tensor, float]:
    """The sums of a tensor and of its weight over the ranks."""
    packed = torch.cat([total.flatten(), total.new_tensor([weight])])
    distributed.all_reduce(packed, group=group)
    return packed[:-1].view_as(total), float(packed[-1])


class _Gather(torch.autograd.Function):
    """The vectors of all ranks, stacked; the gradient of one's own is the sum over the ranks."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, group: distributed.ProcessGroup | None) -> Tensor:
        ctx.group = group
        parts = [torch.empty_like(values) for _ in range(distributed.get_world_size(group))]
        distributed.all_gather(parts, values.contiguous(), group=group)
        return torch.stack(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.clone()
        distributed.all_reduce(total, group=ctx.group)
        return total[distributed.get_rank(ctx.group)], None
