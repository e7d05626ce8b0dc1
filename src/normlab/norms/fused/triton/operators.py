"""The sweeps as functions of tensors, and the four plane operators.

What is not served (float64, empty tensors) goes to the reference; a layout that is neither NCHW nor
channels_last is copied first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
import triton
from torch import Tensor

from normlab.norms.fused.triton import rule, sweeps

ACTIVATION_CODES = {"none": 0, "relu": 1, "leaky_relu": 2, "silu": 3}
"""Those of sweeps.py."""
_tile_values = 4096
"""Values of a tile: 16 KB in float32, some 16 a thread."""
FULL_CHIP = 1024
"""Fewer programs leave much of a chip of 130 multiprocessors idle; then planes are split."""
_DTYPES = (torch.float32, torch.bfloat16, torch.float16)

_COMPILER = {"enable_fp_fusion": True}
"""a·b + c in one rounding, whatever the default of the Triton at hand is."""

Strides = tuple[int, int, int]
_NOT_READ: Strides = (0, 0, 0)
"""Strides of what is not read."""


@contextmanager
def tile_values(values: int) -> Iterator[None]:
    """Work on tiles of so many values within this context: small ones split every plane."""
    global _tile_values
    before, _tile_values = _tile_values, values
    try:
        yield
    finally:
        _tile_values = before


def is_served(x: Tensor) -> bool:
    """Whether the kernels take this tensor."""
    return x.dim() == 4 and x.dtype in _DTYPES and x.numel() > 0 and x.numel() < 2**46


def strides(x: Tensor) -> Strides | None:
    """Strides of sample, channel and pixel; None if height and width are not one run of pixels."""
    n, c, h, w = x.stride()
    if x.shape[2] == 1:
        return n, c, w
    if x.shape[3] == 1:
        return n, c, h
    return (n, c, w) if h == w * x.shape[3] else None


def dense(x: Tensor) -> Tensor:
    """x itself if it lies densely in NCHW or channels_last, else a copy in NCHW."""
    if x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last):
        return x
    return x.contiguous()


def with_strides(x: Tensor, other: Tensor) -> tuple[Tensor, Strides]:
    """A partner of x in any layout that has pixels in a run, else a copy in x's layout."""
    found = strides(other)
    if found is None:
        other = torch.empty_like(x, dtype=other.dtype).copy_(other)
        found = strides(other)
        assert found is not None
    return other, found


def _by_channel(x: Tensor) -> bool:
    """Whether neighbours in memory are channels: channels_last."""
    return x.stride(1) == 1 and x.shape[1] > 1


def tile(x: Tensor) -> tuple[int, int]:
    """Pixels and channels of a tile: long in the direction in which memory runs."""
    channels, pixels = x.shape[1], x.shape[2] * x.shape[3]
    if _by_channel(x):
        wide = min(triton.next_power_of_2(channels), 128)
        return max(1, min(triton.next_power_of_2(pixels), _tile_values // wide)), wide
    long = min(triton.next_power_of_2(pixels), _tile_values)
    return long, max(1, min(triton.next_power_of_2(channels), 1024 // long))


def sweep_options(x: Tensor, *partners: Strides) -> dict[str, Any]:
    """Options of a sweep: its tile, and how many values lie together in x and all its partners."""
    block_p, block_c = tile(x)
    by_channel = _by_channel(x)
    alike = all(found in (dense_strides(x), _NOT_READ) for found in partners)
    unit = math.gcd(x.shape[1] if by_channel else x.shape[2] * x.shape[3], 16) if alike else 1
    return {
        "BY_CHANNEL": by_channel,
        "UNIT_P": 1 if by_channel else unit,
        "UNIT_C": unit if by_channel else 1,
        "BLOCK_P": block_p,
        "BLOCK_C": block_c,
        **_COMPILER,
    }


def split(x: Tensor, block_p: int, block_c: int) -> tuple[int, int]:
    """Parts of a plane, and pixels of a part (whole tiles), so that the chip is filled."""
    pixels = x.shape[2] * x.shape[3]
    programs = x.shape[0] * triton.cdiv(x.shape[1], block_c)
    tiles = triton.cdiv(pixels, block_p)
    wanted = max(1, min(tiles, FULL_CHIP // programs))
    chunk = triton.cdiv(tiles, wanted) * block_p
    return triton.cdiv(pixels, chunk), chunk


def partial_statistics(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """Means and Σ(x − mean)² of parts of the planes, (splits, N, C) each, and the part's pixels."""
    n, c, h, w = x.shape
    block_p, block_c = tile(x)
    splits, chunk = split(x, block_p, block_c)
    parts = torch.empty((2, splits, n, c), dtype=torch.float32, device=x.device)
    sweeps.statistics_kernel[(n * triton.cdiv(c, block_c) * splits,)](
        x, parts[0], parts[1], n, c, h * w, chunk, *dense_strides(x), **sweep_options(x)
    )
    return parts[0], parts[1], chunk


def dense_strides(x: Tensor) -> Strides:
    """The strides of a dense tensor of this shape and memory format."""
    found = strides(x)
    assert found is not None
    return found


def apply_affine(
    x: Tensor,
    center: Tensor,
    scale: Tensor,
    offset: Tensor,
    residual: Tensor | None,
    activation: str,
    *,
    reverse: bool = False,
) -> Tensor:
    """act((x − center)·scale + offset + residual) in x's layout."""
    n, c, h, w = x.shape
    block_p, block_c = tile(x)
    y = torch.empty_like(x)
    other, other_strides = with_strides(x, residual) if residual is not None else (x, _NOT_READ)
    sweeps.affine_kernel[(n * triton.cdiv(c, block_c) * triton.cdiv(h * w, block_p),)](
        x, other, y, center, scale, offset, c, h * w, *dense_strides(x), *other_strides,
        HAS_RESIDUAL=residual is not None, ACTIVATION=ACTIVATION_CODES[activation],
        REVERSED=reverse, **sweep_options(x, other_strides),
    )  # fmt: skip
    return y


def partial_sums(
    dy: Tensor,
    x: Tensor,
    rows: tuple[Tensor, Tensor, Tensor],
    pivot: Tensor | None,
    kind: str,
    activation: str,
) -> tuple[Tensor, Tensor]:
    """Σ dz and Σ dz·(x − center) of parts of the planes: (splits, N, C) each.

    `rows` are center, scale and offset; `kind` says what `pivot` is (see `sums_kernel`).
    """
    n, c, h, w = x.shape
    block_p, block_c = tile(x)
    splits, chunk = split(x, block_p, block_c)
    parts = torch.empty((2, splits, n, c), dtype=torch.float32, device=x.device)
    dy, dy_strides = with_strides(x, dy)
    other, other_strides = with_strides(x, pivot) if pivot is not None else (x, _NOT_READ)
    sweeps.sums_kernel[(n * triton.cdiv(c, block_c) * splits,)](
        dy, x, other, *rows, parts[0], parts[1], n, c, h * w, chunk,
        *dy_strides, *dense_strides(x), *other_strides,
        PIVOT=kind, ACTIVATION=ACTIVATION_CODES[activation],
        **sweep_options(x, dy_strides, other_strides),
    )  # fmt: skip
    return parts[0], parts[1]


def apply_backward(
    dy: Tensor,
    x: Tensor,
    rows: tuple[Tensor, Tensor, Tensor],
    slopes: tuple[Tensor, Tensor],
    pivot: Tensor | None,
    kind: str,
    activation: str,
    *,
    needs_dz: bool,
    reverse: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """scale·dz + p·(x − center) + q, and dz if it is needed."""
    n, c, h, w = x.shape
    block_p, block_c = tile(x)
    dx = torch.empty_like(x)
    dz = torch.empty_like(x) if needs_dz else None
    dy, dy_strides = with_strides(x, dy)
    other, other_strides = with_strides(x, pivot) if pivot is not None else (x, _NOT_READ)
    sweeps.affine_backward_kernel[(n * triton.cdiv(c, block_c) * triton.cdiv(h * w, block_p),)](
        dy, x, other, dx, dz if dz is not None else dx, *rows, *slopes, c, h * w,
        *dy_strides, *dense_strides(x), *other_strides,
        PIVOT=kind, NEEDS_DZ=needs_dz, ACTIVATION=ACTIVATION_CODES[activation], REVERSED=reverse,
        **sweep_options(x, dy_strides, other_strides),
    )  # fmt: skip
    return dx, dz


# --- the four plane operators


def plane_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Compute normlab.norms.functional.planes.statistics on the GPU."""
    x = dense(x)
    mean, spread, chunk = partial_statistics(x)
    n, c, h, w = x.shape
    found = torch.empty((2, n, c), dtype=torch.float32, device=x.device)
    rule.merge_kernel[(triton.cdiv(n * c, 256),)](
        mean, spread, found, n * c, mean.shape[0], h * w, chunk,
        BLOCK=256, **merge_options(mean),
    )  # fmt: skip
    return found[0], found[1]


def plane_affine(
    x: Tensor, center: Tensor, scale: Tensor, offset: Tensor, residual: Tensor | None,
    activation: str,
) -> Tensor:  # fmt: skip
    """Compute normlab.norms.functional.planes.affine on the GPU."""
    rows = (center.contiguous(), scale.contiguous(), offset.contiguous())
    return apply_affine(dense(x), *rows, residual, activation)


def plane_sums(
    dy: Tensor, x: Tensor, center: Tensor, pivot: Tensor | None, activation: str
) -> tuple[Tensor, Tensor]:
    """Compute normlab.norms.functional.planes.sums on the GPU."""
    center = center.contiguous()
    kind = "given" if pivot is not None else "none"
    one, two = partial_sums(dy, dense(x), (center, center, center), pivot, kind, activation)
    return one.sum(0), two.sum(0)


def plane_affine_backward(
    dy: Tensor, x: Tensor, center: Tensor, pivot: Tensor | None, scale: Tensor, p: Tensor,
    q: Tensor, activation: str, needs_dz: bool,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Compute normlab.norms.functional.planes.affine_backward on the GPU."""
    center, scale = center.contiguous(), scale.contiguous()
    kind = "given" if pivot is not None else "none"
    return apply_backward(
        dy, dense(x), (center, scale, center), (p.contiguous(), q.contiguous()), pivot, kind,
        activation, needs_dz=needs_dz,
    )  # fmt: skip


PLANE_OPERATORS: dict[str, Callable[..., Any]] = {
    "plane_statistics": plane_statistics,
    "plane_affine": plane_affine,
    "plane_sums": plane_sums,
    "plane_affine_backward": plane_affine_backward,
}
"""The plane operators by the names under which torch knows them."""


def on_its_device(x: Tensor) -> AbstractContextManager[object]:
    """Triton launches on the current device, and x may be on another."""
    if not x.is_cuda or torch.cuda.device_count() == 1:
        return nullcontext()
    return torch.cuda.device(x.device)


def pointer(tensor: Tensor | None, nothing: Tensor) -> Tensor:
    """The tensor, or another in its place: a pointer has to be given even where none is read."""
    return nothing if tensor is None else tensor


def merge_options(parts: Tensor) -> dict[str, Any]:
    """Options of a kernel that reads all parts (splits, N, C) of a plane at once."""
    return {"SPLITS": triton.next_power_of_2(parts.shape[0]), **_COMPILER}


def sample_block(samples: int) -> int:
    """Samples that a program of the rule reads at once."""
    block: int = min(triton.next_power_of_2(samples), 256)
    return block
