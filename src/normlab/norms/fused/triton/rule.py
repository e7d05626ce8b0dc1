"""The rule of the six main norms on N×C numbers as one Triton kernel each way.

    y = γ·(ρ·(x − m_b)·r_b + (1 − ρ)·(x − m_g)·r_g) + β,     r = (s² + ε)^-½

b: the statistics of a channel over the batch, or fixed ones; g: those of a group of channels of one
sample. The closed forms are those of the compiled kernel (docs/engine.md). Two pairs of kernels, so
that nobody reads what another program has to read too:

    channel_…   a program a channel, for batch, batch-instance and instance normalization, where a
                group is one channel
    group_…     a program a group of one sample, for layer and group normalization; the gradients of
                γ and β are those of a channel, and have programs of their own in the same launch
"""

import triton
import triton.language as tl


@triton.jit
def merged(mean, spread, at, inside, planes, splits, pixels, chunk, SPLITS: tl.constexpr):
    """Mean and Σ(x − mean)² of whole planes from those of their parts, all loaded at once."""
    if SPLITS == 1:
        return tl.load(mean + at, inside, 0.0), tl.load(spread + at, inside, 0.0)
    k = tl.arange(0, SPLITS)[:, None]
    there = (k < splits) & inside[None, :]
    parts = tl.load(mean + k * planes + at[None, :], there, 0.0)
    within = tl.load(spread + k * planes + at[None, :], there, 0.0)
    count = tl.maximum(tl.minimum(chunk, pixels - k * chunk), 0).to(tl.float32)
    m = tl.sum(parts * (count / pixels), 0)
    distance = parts - m[None, :]
    return m, tl.sum(within + count * distance * distance, 0)


@triton.jit
def summed(values, at, inside, planes, splits, SPLITS: tl.constexpr):
    """The sum over the parts of a plane."""
    if SPLITS == 1:
        return tl.load(values + at, inside, 0.0)
    k = tl.arange(0, SPLITS)[:, None]
    there = (k < splits) & inside[None, :]
    return tl.sum(tl.load(values + k * planes + at[None, :], there, 0.0), 0)


@triton.jit
def merge_kernel(
    mean, spread, found, planes, splits, pixels, chunk, BLOCK: tl.constexpr, SPLITS: tl.constexpr
):
    """found (2, N·C): mean and biased variance of whole planes."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < planes
    m, s = merged(mean, spread, at, inside, planes, splits, pixels, chunk, SPLITS)
    tl.store(found + at, m, inside)
    tl.store(found + planes + at, s / pixels, inside)


@triton.jit
def move_running(running, value, batches, momentum, AVERAGES: tl.constexpr):
    """Move one running statistic by `momentum` towards a value; AVERAGES by 1/batches instead."""
    share = momentum
    if AVERAGES:
        share = 1.0 / tl.load(batches).to(tl.float32)
    old = tl.load(running)
    tl.store(running, old + share * (value - old))


@triton.jit
def channel_forward_kernel(
    mean, spread, weight, bias, gate, running_mean, running_variance, batches, rows, found,
    samples, channels, pixels, splits, chunk, eps, momentum,
    BATCH: tl.constexpr, FIXED: tl.constexpr, INSTANCE: tl.constexpr, TRACKS: tl.constexpr,
    AVERAGES: tl.constexpr, HAS_WEIGHT: tl.constexpr, HAS_BIAS: tl.constexpr,
    HAS_GATE: tl.constexpr, SPLITS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """rows (4, N, C): mean, variance, scale, offset; found (2, C): the batch's mean and variance.

    TRACKS moves the running statistics by `momentum` towards the batch's (with the unbiased
    variance); AVERAGES by 1/batches instead.
    """
    c = tl.program_id(0)
    planes = samples * channels
    gamma = tl.load(weight + c) if HAS_WEIGHT else 1.0
    beta = tl.load(bias + c) if HAS_BIAS else 0.0
    rho = tl.load(gate + c) if HAS_GATE else (1.0 if BATCH else 0.0)
    m_b = 0.0
    r_b = 0.0
    if BATCH:
        if FIXED:
            m_b = tl.load(running_mean + c)
            v_b = tl.load(running_variance + c)
        else:
            sums = tl.zeros([BLOCK], tl.float32)
            for first in range(0, samples, BLOCK):
                n = first + tl.arange(0, BLOCK)
                inside = n < samples
                m, _ = merged(
                    mean, spread, n * channels + c, inside, planes, splits, pixels, chunk, SPLITS
                )
                sums += tl.where(inside, m, 0.0)
            m_b = tl.sum(sums, 0) / samples
            sums = tl.zeros([BLOCK], tl.float32)
            for first in range(0, samples, BLOCK):
                n = first + tl.arange(0, BLOCK)
                inside = n < samples
                m, s = merged(
                    mean, spread, n * channels + c, inside, planes, splits, pixels, chunk, SPLITS
                )
                sums += tl.where(inside, s / pixels + (m - m_b) * (m - m_b), 0.0)
            v_b = tl.sum(sums, 0) / samples
            if TRACKS:
                count = 1.0 * samples * pixels
                unbiased = v_b * (count / tl.maximum(count - 1, 1.0))
                move_running(running_mean + c, m_b, batches, momentum, AVERAGES)
                move_running(running_variance + c, unbiased, batches, momentum, AVERAGES)
        tl.store(found + c, m_b)
        tl.store(found + channels + c, v_b)
        r_b = 1 / tl.sqrt_rn(v_b + eps)
    for first in range(0, samples, BLOCK):
        n = first + tl.arange(0, BLOCK)
        inside = n < samples
        at = n * channels + c
        m, s = merged(mean, spread, at, inside, planes, splits, pixels, chunk, SPLITS)
        scale = tl.zeros([BLOCK], tl.float32) + rho * r_b
        if INSTANCE:
            scale += (1 - rho) / tl.sqrt_rn(s / pixels + eps)
        offset = rho * r_b * (m - m_b)
        tl.store(rows + at, m, inside)
        tl.store(rows + planes + at, s / pixels, inside)
        tl.store(rows + 2 * planes + at, gamma * scale, inside)
        tl.store(rows + 3 * planes + at, gamma * offset + beta, inside)


@triton.jit
def channel_backward_kernel(
    rows, found, s1, s2, weight, gate, slopes, gradients,
    samples, channels, pixels, splits, eps,
    BATCH: tl.constexpr, FIXED: tl.constexpr, INSTANCE: tl.constexpr,
    HAS_WEIGHT: tl.constexpr, HAS_GATE: tl.constexpr, SPLITS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """slopes (2, N, C): p and q of the last sweep; gradients (3, C): of γ, β, ρ."""
    c = tl.program_id(0)
    planes = samples * channels
    gamma = tl.load(weight + c) if HAS_WEIGHT else 1.0
    rho = tl.load(gate + c) if HAS_GATE else (1.0 if BATCH else 0.0)
    m_b = tl.load(found + c) if BATCH else 0.0
    r_b = 1 / tl.sqrt_rn(tl.load(found + channels + c) + eps) if BATCH else 0.0
    batch_sums = tl.zeros([BLOCK], tl.float32)
    all_sums = tl.zeros([BLOCK], tl.float32)
    own_sums = tl.zeros([BLOCK], tl.float32)
    for first in range(0, samples, BLOCK):
        n = first + tl.arange(0, BLOCK)
        inside = n < samples
        at = n * channels + c
        m = tl.load(rows + at, inside, 0.0)
        one = summed(s1, at, inside, planes, splits, SPLITS)
        two = summed(s2, at, inside, planes, splits, SPLITS)
        all_sums += tl.where(inside, one, 0.0)
        batch_sums += tl.where(inside, two + one * (m - m_b), 0.0)
        if INSTANCE:
            v = tl.load(rows + planes + at, inside, 0.0)
            own_sums += tl.where(inside, two / tl.sqrt_rn(v + eps), 0.0)
    b = tl.sum(batch_sums, 0)
    d = tl.sum(all_sums, 0)
    a = tl.sum(own_sums, 0)
    tl.store(gradients + c, rho * r_b * b + (1 - rho) * a)
    tl.store(gradients + channels + c, d)
    tl.store(gradients + 2 * channels + c, gamma * (r_b * b - a))
    share = gamma * rho * r_b
    p_b = 0.0
    average = 0.0
    if BATCH and not FIXED:
        p_b = -r_b * r_b * share * b / samples / pixels
        average = d / samples
    for first in range(0, samples, BLOCK):
        n = first + tl.arange(0, BLOCK)
        inside = n < samples
        at = n * channels + c
        m = tl.load(rows + at, inside, 0.0)
        one = summed(s1, at, inside, planes, splits, SPLITS)
        p = tl.zeros([BLOCK], tl.float32) + p_b
        # −scale·S1/M, less what the statistics over the batch give back of it
        q = -share * average / pixels + p_b * (m - m_b)
        if INSTANCE:
            two = summed(s2, at, inside, planes, splits, SPLITS)
            r = 1 / tl.sqrt_rn(tl.load(rows + planes + at, inside, 0.0) + eps)
            p -= r * r * r * gamma * (1 - rho) * two / pixels
            q -= gamma * (1 - rho) * r * one / pixels
        tl.store(slopes + at, p, inside)
        tl.store(slopes + planes + at, q, inside)


@triton.jit
def group_forward_kernel(
    mean, spread, weight, bias, rows, found,
    planes, channels, pixels, splits, chunk, groups, size, eps,
    HAS_WEIGHT: tl.constexpr, HAS_BIAS: tl.constexpr, SPLITS: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """rows as `channel_forward_kernel`; found (2, N, G): mean and variance of every group."""
    group = tl.program_id(0)
    j = tl.arange(0, BLOCK)
    inside = j < size
    c = group % groups * size + j
    at = group * size + j  # sample·C + channel, for G·size = C
    gamma = tl.load(weight + c, inside, 0.0) if HAS_WEIGHT else 1.0
    beta = tl.load(bias + c, inside, 0.0) if HAS_BIAS else 0.0
    m, s = merged(mean, spread, at, inside, planes, splits, pixels, chunk, SPLITS)
    m_g = tl.sum(tl.where(inside, m, 0.0), 0) / size
    v_g = tl.sum(tl.where(inside, s / pixels + (m - m_g) * (m - m_g), 0.0), 0) / size
    scale = gamma / tl.sqrt_rn(v_g + eps)
    tl.store(found + group, m_g)
    tl.store(found + planes // size + group, v_g)
    tl.store(rows + at, m, inside)
    tl.store(rows + planes + at, s / pixels, inside)
    tl.store(rows + 2 * planes + at, scale + tl.zeros([BLOCK], tl.float32), inside)
    tl.store(rows + 3 * planes + at, scale * (m - m_g) + beta, inside)


@triton.jit
def group_backward_kernel(
    rows, found, s1, s2, weight, slopes, gradients,
    samples, channels, pixels, splits, groups, size, eps,
    HAS_WEIGHT: tl.constexpr, SPLITS: tl.constexpr, BLOCK: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """As `channel_backward_kernel`: the first N·G programs give slopes, the other C gradients."""
    planes = samples * channels
    all_groups = samples * groups
    group = tl.program_id(0)
    if group < all_groups:
        j = tl.arange(0, BLOCK)
        inside = j < size
        at = group * size + j
        gamma = tl.load(weight + group % groups * size + j, inside, 0.0) if HAS_WEIGHT else 1.0
        m_g = tl.load(found + group)
        r = 1 / tl.sqrt_rn(tl.load(found + all_groups + group) + eps)
        distance = tl.load(rows + at, inside, 0.0) - m_g
        one = summed(s1, at, inside, planes, splits, SPLITS)
        two = summed(s2, at, inside, planes, splits, SPLITS)
        t = tl.sum(tl.where(inside, gamma * (two + one * distance), 0.0), 0)
        d = tl.sum(tl.where(inside, gamma * one, 0.0), 0)
        p = -r * r * r * t / size / pixels
        tl.store(slopes + at, p + tl.zeros([BLOCK], tl.float32), inside)
        tl.store(slopes + planes + at, p * distance - r * d / size / pixels, inside)
    else:
        c = group - all_groups
        first_sum = tl.zeros([BLOCK_N], tl.float32)
        second_sum = tl.zeros([BLOCK_N], tl.float32)
        for first in range(0, samples, BLOCK_N):
            n = first + tl.arange(0, BLOCK_N)
            own = n < samples
            place = n * channels + c
            which = n * groups + c // size
            distance_n = tl.load(rows + place, own, 0.0) - tl.load(found + which, own, 0.0)
            r_n = 1 / tl.sqrt_rn(tl.load(found + all_groups + which, own, 0.0) + eps)
            one_n = summed(s1, place, own, planes, splits, SPLITS)
            two_n = summed(s2, place, own, planes, splits, SPLITS)
            first_sum += tl.where(own, r_n * (two_n + one_n * distance_n), 0.0)
            second_sum += tl.where(own, one_n, 0.0)
        tl.store(gradients + c, tl.sum(first_sum, 0))
        tl.store(gradients + channels + c, tl.sum(second_sum, 0))
