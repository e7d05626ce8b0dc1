"""The maths of every normalization: from the planes' statistics to one affine map per plane.

Symbols, for a batch of N samples with C channels of M = H·W values:

    μ, v      mean and biased variance of every plane                       (N, C)
    γ, β      `weight` and `bias`, one per channel, or None                 (C,)
    ρ         `gate` of batch-instance normalization, one per channel       (C,)
    ε         `eps`, added to the variance under the root

A rule returns (scale, offset), both N×C, with

    y[n,c,·] = scale[n,c]·(x[n,c,·] − μ[n,c]) + offset[n,c].

Normalizing with other statistics (m, s²) than the plane's own, y = γ(x − m)/√(s²+ε) + β, has
scale = γ/√(s²+ε) and offset = scale·(μ − m) + β. All rules are that one formula.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

PlaneValues = Float[Tensor, "n c"]
Statistics = tuple[Tensor, Tensor]
ChannelValues = Float[Tensor, " c"] | None
Pool = Callable[[PlaneValues, PlaneValues], Statistics]
"""What a batch rule takes as the batch's statistics (1, C): see `over_batch`, `ranks.RankPool`."""


def merge(mean: Tensor, variance: Tensor, dim: int) -> Statistics:
    """Statistics of the union of equally large planes along `dim` (kept, of size 1).

    mean = mean of means; variance = mean of variances + variance of means. Exact, and without
    the cancellation of E[x²] − mean².
    """
    merged = mean.mean(dim, keepdim=True)
    spread = (mean - merged).square().mean(dim, keepdim=True)
    return merged, variance.mean(dim, keepdim=True) + spread


def over_batch(mean: PlaneValues, variance: PlaneValues) -> Statistics:
    """The statistics of each channel over the samples of the batch."""
    return merge(mean, variance, dim=0)


def standardize(mean: PlaneValues, by: Statistics, eps: float) -> tuple[Tensor, Tensor]:
    """scale = 1/√(s²+ε), offset = scale·(μ − m): standardizes by the statistics (m, s²)."""
    m, s2 = by
    scale = (s2 + eps).rsqrt()
    return scale.expand_as(mean), scale * (mean - m)


def apply_affine(
    scale: Tensor, offset: Tensor, weight: ChannelValues, bias: ChannelValues
) -> tuple[Tensor, Tensor]:
    """γ·(scale, offset) + (0, β)."""
    if weight is not None:
        scale, offset = scale * weight, offset * weight
    if bias is not None:
        offset = offset + bias
    return scale, offset


def instance(
    mean: PlaneValues,
    variance: PlaneValues,
    weight: ChannelValues,
    bias: ChannelValues,
    *,
    eps: float,
) -> tuple[PlaneValues, PlaneValues]:
    """Instance normalization: every plane by itself. Ulyanov et al. 2017, equation 4."""
    return apply_affine(*standardize(mean, (mean, variance), eps), weight, bias)


def layer(
    mean: PlaneValues,
    variance: PlaneValues,
    weight: ChannelValues,
    bias: ChannelValues,
    *,
    eps: float,
) -> tuple[PlaneValues, PlaneValues]:
    """Layer normalization: all planes of a sample. Ba et al. 2016, equation 4."""
    by = merge(mean, variance, dim=1)
    return apply_affine(*standardize(mean, by, eps), weight, bias)


def group(
    mean: PlaneValues,
    variance: PlaneValues,
    weight: ChannelValues,
    bias: ChannelValues,
    *,
    num_groups: int,
    eps: float,
) -> tuple[PlaneValues, PlaneValues]:
    """Group normalization: C/G adjacent planes of a sample. Wu & He 2018, equation 7."""
    samples, channels = mean.shape
    grouped = (samples * num_groups, channels // num_groups)  # no -1: the batch may be empty
    by = merge(mean.reshape(grouped), variance.reshape(grouped), dim=1)
    scale, offset = standardize(mean.reshape(grouped), by, eps)
    return apply_affine(scale.reshape_as(mean), offset.reshape_as(mean), weight, bias)


def batch(
    mean: PlaneValues,
    variance: PlaneValues,
    weight: ChannelValues,
    bias: ChannelValues,
    *,
    eps: float,
    pool: Pool = over_batch,
) -> tuple[PlaneValues, PlaneValues]:
    """Batch normalization: the planes of a channel over the batch. Ioffe & Szegedy 2015, alg. 1."""
    return apply_affine(*standardize(mean, pool(mean, variance), eps), weight, bias)


def batch_instance(
    mean: PlaneValues,
    variance: PlaneValues,
    weight: ChannelValues,
    bias: ChannelValues,
    gate: Float[Tensor, " c"],
    *,
    eps: float,
    running: Statistics | None = None,
    pool: Pool = over_batch,
) -> tuple[PlaneValues, PlaneValues]:
    """Batch-instance normalization: ρ·batch + (1−ρ)·instance. Nam & Kim 2018, equation 3.

    `running` replaces the batch's statistics in evaluation; the instance's are always x's own.
    """
    by_batch = pool(mean, variance) if running is None else running
    batch_scale, batch_offset = standardize(mean, by_batch, eps)
    own_scale, own_offset = standardize(mean, (mean, variance), eps)
    scale = gate * batch_scale + (1 - gate) * own_scale
    offset = gate * batch_offset + (1 - gate) * own_offset
    return apply_affine(scale, offset, weight, bias)
