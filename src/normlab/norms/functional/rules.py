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

import torch
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
    count = max(mean.shape[dim], 1)  # of no plane at all: 0, and no NaN in anybody's gradient
    merged = mean.sum(dim, keepdim=True) / count
    spread = (mean - merged).square().sum(dim, keepdim=True) / count
    return merged, variance.sum(dim, keepdim=True) / count + spread


def over_batch(mean: PlaneValues, variance: PlaneValues) -> Statistics:
    """The statistics of each channel over the samples of the batch."""
    return merge(mean, variance, dim=0)


def standardize(mean: PlaneValues, by: Statistics, eps: float) -> tuple[Tensor, Tensor]:
    """scale = 1/√(s²+ε), offset = scale·(μ − m): standardizes by the statistics (m, s²)."""
    m, s2 = by
    scale = (s2 + eps).rsqrt()
    return scale.expand_as(mean), scale * (mean - m)


def standardize_groups(
    mean: PlaneValues, variance: PlaneValues, num_groups: int, eps: float
) -> tuple[PlaneValues, PlaneValues]:
    """`standardize` by the statistics of C/G adjacent planes of a sample."""
    samples, channels = mean.shape
    grouped = (samples * num_groups, channels // num_groups)  # no -1: the batch may be empty
    by = merge(mean.reshape(grouped), variance.reshape(grouped), dim=1)
    scale, offset = standardize(mean.reshape(grouped), by, eps)
    return scale.reshape_as(mean), offset.reshape_as(mean)


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
    return apply_affine(*standardize_groups(mean, variance, num_groups, eps), weight, bias)


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


def ghost(
    mean: PlaneValues,
    variance: PlaneValues,
    weight: ChannelValues,
    bias: ChannelValues,
    *,
    eps: float,
    virtual_batch: int,
) -> tuple[PlaneValues, PlaneValues]:
    """Ghost batch normalization: parts of the batch in order. Hoffer et al. 2017, algorithm 1."""
    parts = zip(mean.split(virtual_batch), variance.split(virtual_batch), strict=True)
    pieces = [standardize(m, over_batch(m, v), eps) for m, v in parts]
    scale, offset = (torch.cat(values) for values in zip(*pieces, strict=True))
    return apply_affine(scale, offset, weight, bias)


def batch_renorm(
    mean: PlaneValues,
    variance: PlaneValues,
    weight: ChannelValues,
    bias: ChannelValues,
    *,
    running: Statistics,
    r_max: Float[Tensor, ""],
    d_max: Float[Tensor, ""],
    eps: float,
    pool: Pool = over_batch,
) -> tuple[PlaneValues, PlaneValues]:
    """Batch renormalization: x̂·r + d, towards the running statistics. Ioffe 2017, algorithm 1.

    r = clip(σ_b/σ, 1/r_max, r_max) and d = clip((μ_b − μ)/σ, ±d_max) are constants of the backward.
    """
    by = pool(mean, variance)
    scale, offset = standardize(mean, by, eps)
    with torch.no_grad():
        sigma = (running[1] + eps).sqrt()
        r = ((by[1] + eps).sqrt() / sigma).clamp(1 / r_max, r_max)
        d = ((by[0] - running[0]) / sigma).clamp(-d_max, d_max)
    return apply_affine(scale * r, offset * r + d, weight, bias)


def switchable(
    mean: PlaneValues,
    variance: PlaneValues,
    weight: ChannelValues,
    bias: ChannelValues,
    mean_weight: Float[Tensor, " 3"],
    var_weight: Float[Tensor, " 3"],
    *,
    eps: float,
    running: Statistics | None = None,
    pool: Pool = over_batch,
) -> tuple[PlaneValues, PlaneValues]:
    """Switchable normalization: instance, layer, batch by softmax. Luo et al. 2019, equation 3."""
    batch_part = pool(mean, variance) if running is None else running
    candidates = ((mean, variance), merge(mean, variance, dim=1), batch_part)
    shares = mean_weight.to(mean.dtype).softmax(0)
    var_shares = var_weight.to(mean.dtype).softmax(0)
    m = sum(share * values[0] for share, values in zip(shares, candidates, strict=True))
    s2 = sum(share * values[1] for share, values in zip(var_shares, candidates, strict=True))
    return apply_affine(*standardize(mean, (m, s2), eps), weight, bias)


def half_instance(
    mean: PlaneValues,
    variance: PlaneValues,
    weight: ChannelValues,
    bias: ChannelValues,
    *,
    instances: int,
    eps: float,
    running: Statistics | None = None,
    pool: Pool = over_batch,
) -> tuple[PlaneValues, PlaneValues]:
    """IBN-a: the first channels by instance, the others by batch. Pan et al. 2018, section 3.2."""
    own_mean, other_mean = mean[:, :instances], mean[:, instances:]
    own_variance, other_variance = variance[:, :instances], variance[:, instances:]
    by_batch = pool(other_mean, other_variance) if running is None else running
    own = standardize(own_mean, (own_mean, own_variance), eps)
    other = standardize(other_mean, by_batch, eps)
    scale, offset = (torch.cat(pair, dim=1) for pair in zip(own, other, strict=True))
    return apply_affine(scale, offset, weight, bias)


def root_mean_square(
    mean: PlaneValues,
    variance: PlaneValues,
    weight: ChannelValues,
    bias: ChannelValues,
    *,
    eps: float,
) -> tuple[PlaneValues, PlaneValues]:
    """RMS normalization over C, H, W: γ·x/√(mean x² + ε) + β. Zhang & Sennrich 2019, equation 4."""
    scale = ((variance + mean.square()).mean(1, keepdim=True) + eps).rsqrt().expand_as(mean)
    return apply_affine(scale, scale * mean, weight, bias)


def filter_response(
    mean: PlaneValues,
    variance: PlaneValues,
    weight: ChannelValues,
    bias: ChannelValues,
    *,
    eps: float,
) -> tuple[PlaneValues, PlaneValues]:
    """Filter response normalization: x/√(mean x² + ε) by plane. Singh & Krishnan 2020, eq. 1–3."""
    scale = (variance + mean.square() + eps).rsqrt()
    return apply_affine(scale, scale * mean, weight, bias)


def global_response(
    mean: PlaneValues,
    variance: PlaneValues,
    weight: Float[Tensor, " c"],
    bias: Float[Tensor, " c"],
    *,
    plane_size: int,
    eps: float,
) -> tuple[PlaneValues, PlaneValues]:
    """Global response: γ·x·g/ḡ + β + x, g = ‖plane‖₂. Woo et al. 2023, algorithm 1."""
    squares = plane_size * (variance + mean.square())
    length = squares.clamp(min=torch.finfo(squares.dtype).tiny).sqrt()  # no slope of √ at 0
    scale = weight * length / (length.mean(1, keepdim=True) + eps) + 1
    return scale, scale * mean + bias


def group_deviation(
    mean: PlaneValues,
    variance: PlaneValues,
    weight: ChannelValues,
    bias: ChannelValues,
    *,
    num_groups: int,
    eps: float,
) -> tuple[PlaneValues, PlaneValues]:
    """γ·x/√(s²+ε) + β by the variance of a group, x not centred. Liu et al. 2020, section 3."""
    scale, _ = standardize_groups(mean, variance, num_groups, eps)
    return apply_affine(scale, scale * mean, weight, bias)
