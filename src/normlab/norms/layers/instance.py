"""Instance normalization, over H, W for every sample and channel."""

from __future__ import annotations

from functools import partial

import torch

from normlab.norms.base import Images, RunningNormalization
from normlab.norms.functional import rules
from normlab.norms.functional.activation import Activation
from normlab.norms.functional.engine import plane_norm
from normlab.norms.functional.rank_pool import average_over_ranks
from normlab.norms.layers.apply import normalize_by_running, normalize_by_sample


class InstanceNorm2d(RunningNormalization):
    """Instance normalization over H, W per sample and channel (Ulyanov et al. 2017, equation 4).

    y = γ·(x − μ_nc)/√(v_nc + ε) + β. As in torch the affine part is off by default, and running
    statistics, where tracked, are averages over the batch and replace the instance's own in
    evaluation.

    Args:
        num_features: C.
        eps: ε.
        momentum: the weight of the new batch in the running statistics; None for the average over
            all batches.
        affine: whether there are γ = 1 and β = 0.
        track_running_stats: whether there are running statistics, for evaluation.
        device: of the parameters and buffers.
        dtype: of the parameters and buffers.

    Shape:
        (N, C, H, W) → (N, C, H, W); γ, β (C,).

    Raises:
        UsageError: in training, one value per plane.

    >>> norm = InstanceNorm2d(8, affine=True)
    >>> norm(torch.randn(4, 8, 6, 6), activation="relu").shape
    torch.Size([4, 8, 6, 6])
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)

    def normalize(self, x: Images, residual: Images | None, activation: Activation) -> Images:
        """See `Normalization.normalize`."""
        if self.uses_running:
            return normalize_by_running(self, x, residual, activation)
        count = x.shape[2] * x.shape[3]
        self.check_count(count, "use a larger image")
        rule = partial(rules.instance, eps=self.eps)
        if self.running_mean is None:
            return normalize_by_sample(self, x, x.shape[1], rule, residual, activation)
        y, mean, variance = plane_norm(x, rule, (self.weight, self.bias), residual, activation)
        if self.synchronized and self.training:
            sums = torch.stack([mean.sum(0), variance.sum(0)])
            (mean, variance), samples = average_over_ranks(sums, x.shape[0], self.process_group)
            if samples:
                self.observe(mean / samples, variance / samples, count)
        elif x.shape[0] > 0:
            self.observe(mean.mean(0), variance.mean(0), count)
        return y
