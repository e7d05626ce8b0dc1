"""The four sweeps over the tensor as Triton kernels: statistics, affine, sums, affine_backward.

One program works on a tile of pixels × channels of one sample. NCHW and channels_last differ in the
strides alone, so no layout is copied. Planes that are too few to fill the chip are split over
several programs, whose results lie side by side and are merged by whoever reads them, always in the
same order: there are no atomics, and the same input gives the same bits.

UNIT_P pixels, or UNIT_C channels, lie together in memory and are inside together (1 in the other
direction): so many are read and written at once. Triton sees by itself multiples of 16 alone, and a
plane of 14·14 pixels is one of 4.

Sums are float32 by Chan's merge of centred tiles, whatever the input's type is.
"""

# Triton reads the annotations of a kernel as its types, so they cannot be strings here.

import triton
import triton.language as tl

NONE, RELU, LEAKY_RELU, SILU = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2), tl.constexpr(3)
SLOPE = tl.constexpr(0.01)


@triton.jit
def activate(z, ACTIVATION: tl.constexpr):
    """The activation of z; NaN stays NaN, as in torch."""
    if ACTIVATION == RELU:
        return tl.where(z < 0, 0.0, z)
    if ACTIVATION == LEAKY_RELU:
        return tl.where(z < 0, z * SLOPE, z)
    if ACTIVATION == SILU:
        return z * tl.sigmoid(z)
    return z


@triton.jit
def activation_gradient(dy, pivot, ACTIVATION: tl.constexpr):
    """dz = dy·act'; pivot is the output (relu, leaky_relu) or the pre-activation (any)."""
    if ACTIVATION == RELU:
        return tl.where(pivot > 0, dy, 0.0)
    if ACTIVATION == LEAKY_RELU:
        return tl.where(pivot > 0, dy, dy * SLOPE)
    if ACTIVATION == SILU:
        sigmoid = tl.sigmoid(pivot)
        return dy * (sigmoid * (1 + pivot * (1 - sigmoid)))
    return dy


@triton.jit
def tile_position(
    channels, parts, BY_CHANNEL: tl.constexpr, BLOCK_C: tl.constexpr, REVERSED: tl.constexpr
):
    """The sample, the first channel and the part of the pixels of this program.

    Programs go through the tensor as it lies in memory, channels_last if BY_CHANNEL. REVERSED ones
    go backwards and begin with what the sweep before has read last, which is still in the cache.
    """
    number = tl.program_id(0)
    if REVERSED:
        number = tl.num_programs(0) - 1 - number
    blocks = tl.cdiv(channels, BLOCK_C)
    if BY_CHANNEL:
        block, part = number % blocks, number // blocks % parts
    else:
        part, block = number % parts, number // parts % blocks
    return (number // (blocks * parts)).to(tl.int64), block * BLOCK_C, part


@triton.jit
def offsets(n, c, p, s_n, s_c, s_p, UNIT_P: tl.constexpr, UNIT_C: tl.constexpr):
    """Where the values of a tile lie in a tensor with these strides."""
    at = n * s_n + c.to(tl.int64)[None, :] * s_c + p.to(tl.int64)[:, None] * s_p
    return tl.multiple_of(at, (UNIT_P, UNIT_C))


@triton.jit
def tile_mask(p, stop, own, UNIT_P: tl.constexpr, UNIT_C: tl.constexpr):
    """Which places of a tile hold values of the tensor."""
    return tl.max_constancy((p < stop)[:, None] & own[None, :], (UNIT_P, UNIT_C))


@triton.jit
def gradient_of(dy, z, pivot, at, inside, PIVOT: tl.constexpr, ACTIVATION: tl.constexpr):
    """dz; z is the pre-activation less the residual, and `at` are the places in `pivot`.

    PIVOT says what `pivot` is: "given", the "residual" that belongs to z, or "none", where z is
    the pre-activation.
    """
    if ACTIVATION != NONE:
        if PIVOT == "given":
            z = tl.load(pivot + at, inside, 0.0).to(tl.float32)
        if PIVOT == "residual":
            z += tl.load(pivot + at, inside, 0.0).to(tl.float32)
        dy = activation_gradient(dy, z, ACTIVATION)
    return dy


@triton.jit
def statistics_kernel(
    x, mean, spread, samples, channels, pixels, chunk,
    x_n, x_c, x_p,
    BY_CHANNEL: tl.constexpr, UNIT_P: tl.constexpr, UNIT_C: tl.constexpr,
    BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Mean and Σ(x − mean)² of a part of every plane: (splits, N, C) each."""
    n, first_c, split = tile_position(channels, tl.cdiv(pixels, chunk), BY_CHANNEL, BLOCK_C, False)
    c = first_c + tl.arange(0, BLOCK_C)
    own = c < channels
    start = split * chunk
    stop = tl.minimum(start + chunk, pixels)
    count = 0.0
    m = tl.zeros([BLOCK_C], tl.float32)
    s = tl.zeros([BLOCK_C], tl.float32)
    for first in range(start, stop, BLOCK_P):
        p = first + tl.arange(0, BLOCK_P)
        inside = tile_mask(p, stop, own, UNIT_P, UNIT_C)
        at = offsets(n, c, p, x_n, x_c, x_p, UNIT_P, UNIT_C)
        values = tl.load(x + at, inside, 0.0).to(tl.float32)
        size = tl.minimum(BLOCK_P, stop - first).to(tl.float32)
        tile_mean = tl.sum(values, 0) / size
        distance = tl.where(inside, values - tile_mean[None, :], 0.0)
        tile_spread = tl.sum(distance * distance, 0)
        delta = tile_mean - m
        total = count + size
        m += delta * (size / total)
        s += tile_spread + delta * delta * (count * size / total)
        count = total
    part = (split * samples + n) * channels + c
    tl.store(mean + part, m, own)
    tl.store(spread + part, s, own)


@triton.jit
def affine_kernel(
    x, residual, y, center, scale, offset, channels, pixels,
    x_n, x_c, x_p, r_n, r_c, r_p,
    HAS_RESIDUAL: tl.constexpr, ACTIVATION: tl.constexpr, REVERSED: tl.constexpr,
    BY_CHANNEL: tl.constexpr, UNIT_P: tl.constexpr, UNIT_C: tl.constexpr,
    BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """y = act((x − center)·scale + offset + residual); y has the strides of x."""
    n, first_c, tile = tile_position(
        channels, tl.cdiv(pixels, BLOCK_P), BY_CHANNEL, BLOCK_C, REVERSED
    )
    c = first_c + tl.arange(0, BLOCK_C)
    p = tile * BLOCK_P + tl.arange(0, BLOCK_P)
    own = c < channels
    plane = n * channels + c
    middle = tl.load(center + plane, own, 0.0)[None, :]
    slope = tl.load(scale + plane, own, 0.0)[None, :]
    shift = tl.load(offset + plane, own, 0.0)[None, :]
    inside = tile_mask(p, pixels, own, UNIT_P, UNIT_C)
    at = offsets(n, c, p, x_n, x_c, x_p, UNIT_P, UNIT_C)
    z = (tl.load(x + at, inside, 0.0).to(tl.float32) - middle) * slope + shift
    if HAS_RESIDUAL:
        at_residual = offsets(n, c, p, r_n, r_c, r_p, UNIT_P, UNIT_C)
        z += tl.load(residual + at_residual, inside, 0.0).to(tl.float32)
    tl.store(y + at, activate(z, ACTIVATION).to(y.dtype.element_ty), inside)


@triton.jit
def sums_kernel(
    dy, x, pivot, center, scale, offset, s1, s2, samples, channels, pixels, chunk,
    d_n, d_c, d_p, x_n, x_c, x_p, r_n, r_c, r_p,
    PIVOT: tl.constexpr, ACTIVATION: tl.constexpr,
    BY_CHANNEL: tl.constexpr, UNIT_P: tl.constexpr, UNIT_C: tl.constexpr,
    BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Σ dz and Σ dz·(x − center) of a part of every plane: (splits, N, C) each."""
    n, first_c, split = tile_position(channels, tl.cdiv(pixels, chunk), BY_CHANNEL, BLOCK_C, False)
    c = first_c + tl.arange(0, BLOCK_C)
    own = c < channels
    start = split * chunk
    stop = tl.minimum(start + chunk, pixels)
    plane = n * channels + c
    middle = tl.load(center + plane, own, 0.0)[None, :]
    slope = tl.load(scale + plane, own, 0.0)[None, :]
    shift = tl.load(offset + plane, own, 0.0)[None, :]
    first_sum = tl.zeros([BLOCK_C], tl.float32)
    second_sum = tl.zeros([BLOCK_C], tl.float32)
    for first in range(start, stop, BLOCK_P):
        p = first + tl.arange(0, BLOCK_P)
        inside = tile_mask(p, stop, own, UNIT_P, UNIT_C)
        at = offsets(n, c, p, x_n, x_c, x_p, UNIT_P, UNIT_C)
        at_dy = offsets(n, c, p, d_n, d_c, d_p, UNIT_P, UNIT_C)
        at_residual = offsets(n, c, p, r_n, r_c, r_p, UNIT_P, UNIT_C)
        distance = tl.load(x + at, inside, 0.0).to(tl.float32) - middle
        dz = tl.load(dy + at_dy, inside, 0.0).to(tl.float32)
        z = distance * slope + shift
        dz = gradient_of(dz, z, pivot, at_residual, inside, PIVOT, ACTIVATION)
        first_sum += tl.sum(tl.where(inside, dz, 0.0), 0)
        second_sum += tl.sum(tl.where(inside, dz * distance, 0.0), 0)
    part = (split * samples + n) * channels + c
    tl.store(s1 + part, first_sum, own)
    tl.store(s2 + part, second_sum, own)


@triton.jit
def affine_backward_kernel(
    dy, x, pivot, dx, dz_out, center, scale, offset, slope_p, slope_q, channels, pixels,
    d_n, d_c, d_p, x_n, x_c, x_p, r_n, r_c, r_p,
    PIVOT: tl.constexpr, NEEDS_DZ: tl.constexpr, ACTIVATION: tl.constexpr,
    REVERSED: tl.constexpr,
    BY_CHANNEL: tl.constexpr, UNIT_P: tl.constexpr, UNIT_C: tl.constexpr,
    BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """dx = scale·dz + p·(x − center) + q, and dz; both have the strides of x."""
    n, first_c, tile = tile_position(
        channels, tl.cdiv(pixels, BLOCK_P), BY_CHANNEL, BLOCK_C, REVERSED
    )
    c = first_c + tl.arange(0, BLOCK_C)
    p = tile * BLOCK_P + tl.arange(0, BLOCK_P)
    own = c < channels
    plane = n * channels + c
    middle = tl.load(center + plane, own, 0.0)[None, :]
    slope = tl.load(scale + plane, own, 0.0)[None, :]
    shift = tl.load(offset + plane, own, 0.0)[None, :]
    inside = tile_mask(p, pixels, own, UNIT_P, UNIT_C)
    at = offsets(n, c, p, x_n, x_c, x_p, UNIT_P, UNIT_C)
    at_dy = offsets(n, c, p, d_n, d_c, d_p, UNIT_P, UNIT_C)
    at_residual = offsets(n, c, p, r_n, r_c, r_p, UNIT_P, UNIT_C)
    distance = tl.load(x + at, inside, 0.0).to(tl.float32) - middle
    dz = tl.load(dy + at_dy, inside, 0.0).to(tl.float32)
    z = distance * slope + shift
    dz = gradient_of(dz, z, pivot, at_residual, inside, PIVOT, ACTIVATION)
    if NEEDS_DZ:
        tl.store(dz_out + at, dz.to(dz_out.dtype.element_ty), inside)
    result = slope * dz + tl.load(slope_p + plane, own, 0.0)[None, :] * distance
    result += tl.load(slope_q + plane, own, 0.0)[None, :]
    tl.store(dx + at, result.to(dx.dtype.element_ty), inside)
