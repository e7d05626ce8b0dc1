"""Pictures of a fixed side in blocks: warped, blurred, pooled, one block a thread.

A blur or a mean over windows that overlap is a product with a matrix from either side, which takes
a tenth of the time of a convolution of one channel. Blocks are small, so that what is worked on
stays in the processor's cache, and each is worked on by one thread: results do not depend on how
many there are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from normlab.data.scan import Progress, no_progress
from normlab.norms.fused.cpu.build import PAIRS
from normlab.norms.fused.cpu.loader import has_operators

Result = TypeVar("Result")

BLOCK = 128
"""Pairs that are worked on together."""


@dataclass(frozen=True)
class Steps:
    """Of a descent."""

    count: int
    most: float
    """What any number of a map changes by in one step."""
    robust: bool = False
    """Pixels that do not fit count less: w / (1 + e² / (4 s²))."""


@functools.cache
def places(side: int) -> tuple[Float[Tensor, "s s"], Float[Tensor, "s s"]]:
    """y and x of the middles of pixels, in half sides from the centre."""
    line = (torch.arange(side) + 0.5) * (2 / side) - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return y, x


def warp(
    images: Float[Tensor, "b c s s"], affine: Float[Tensor, "b 2 3"], beyond: str = "zeros"
) -> Float[Tensor, "b c s s"]:
    """What lies at A x of each image, bilinearly; beyond the border zeros, or "border"."""
    side = images.shape[-1]
    grid = (affine.reshape(-1, 3) @ _homogeneous(side)).view(-1, 2, side, side)
    return F.grid_sample(images, grid.permute(0, 2, 3, 1), padding_mode=beyond, align_corners=False)


def blurred(images: Float[Tensor, "... s s"]) -> Float[Tensor, "... s s"]:
    """By a binomial of five pixels each way, a deviation of one; the border is repeated."""
    matrix = _blur(images.shape[-1])
    return matrix @ images @ matrix.T


def pooled(images: Float[Tensor, "... s s"], window: int, step: int) -> Float[Tensor, "... w w"]:
    """Means of windows of `window` pixels a side, `step` apart, as `avg_pool2d` has them."""
    matrix = _windows(images.shape[-1], window, step)
    return matrix @ images @ matrix.T


def dilated(mask: Float[Tensor, "... s s"]) -> Float[Tensor, "... s s"]:
    """1 where any of the 3×3 pixels around is 1."""
    matrix = _neighbours(mask.shape[-1])
    return (matrix @ mask @ matrix > 0.5).float()


def gradient(grey: Float[Tensor, "... s s"]) -> tuple[Tensor, Tensor]:
    """Along y and along x, a pixel: central differences, and one-sided at the border."""
    down, right = torch.empty_like(grey), torch.empty_like(grey)
    down[..., 1:-1, :] = (grey[..., 2:, :] - grey[..., :-2, :]) * 0.5
    down[..., 0, :] = grey[..., 1, :] - grey[..., 0, :]
    down[..., -1, :] = grey[..., -1, :] - grey[..., -2, :]
    right[..., 1:-1] = (grey[..., 2:] - grey[..., :-2]) * 0.5
    right[..., 0] = grey[..., 1] - grey[..., 0]
    right[..., -1] = grey[..., -1] - grey[..., -2]
    return down, right


def descended(
    moving: Float[Tensor, "b 2 s s"],
    goal: Float[Tensor, "b s s"],
    seen: Float[Tensor, "b s s"],
    affine: Float[Tensor, "b 2 3"],
    step: Steps,
) -> Float[Tensor, "b 2 3"]:
    """Gauss–Newton steps on all six numbers of the maps (inverse compositional, damped).

    Args:
        moving: the sources, and what is valid of them.
        goal: the targets.
        seen: which weight the targets' pixels have.
        affine: source coordinates from target coordinates.
        step: how many, how far, and whether pixels that do not fit count less.
    """
    if has_operators(PAIRS):
        parts = (part.contiguous() for part in (moving, goal, seen, affine))
        found: Tensor = torch.ops.normlab_pairs.descended(
            *parts, step.count, step.most, step.robust
        )
        return found.view(-1, 2, 3)
    slope, flat = _slopes(goal), goal.flatten(1)
    for _ in range(step.count):
        warped = warp(moving, affine)
        weight = (seen * warped[:, 1]).flatten(1)
        moved, _ = _normal(warped[:, 0].flatten(1), weight)
        fixed, deviation = _normal(flat, weight)
        error = moved - fixed
        if step.robust:
            scale = (error.square() * weight).sum(1, keepdim=True)
            scale = scale / weight.sum(1, keepdim=True).clamp_min(1)
            weight = weight / (1 + error.square() / (4 * scale + 1e-4))
            error = error * deviation
        affine = _stepped(affine, slope, weight, error, step.most)
    return affine


def _normal(values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Less the mean, by the deviation, both under the weight; and the deviation."""
    count = weight.sum(1, keepdim=True).clamp_min(1)
    centred = values - (values * weight).sum(1, keepdim=True) / count
    deviation = ((centred.square() * weight).sum(1, keepdim=True) / count + 1e-3).sqrt()
    return centred / deviation, deviation


def _slopes(goal: Float[Tensor, "b s s"]) -> Float[Tensor, "b 6 p"]:
    """How the target changes with the six numbers of a map of its coordinates."""
    side = goal.shape[-1]
    down, right = gradient(goal)
    out = torch.empty(len(goal), 2, 3, side, side)
    y, x = places(side)
    for row, slope in enumerate((right, down)):
        part = torch.mul(slope, side / 2, out=out[:, row, 2])  # of pixels, now of half sides
        torch.mul(part, x, out=out[:, row, 0])
        torch.mul(part, y, out=out[:, row, 1])
    return out.view(len(goal), 6, -1)


def _stepped(
    affine: Float[Tensor, "b 2 3"],
    slope: Float[Tensor, "b 6 p"],
    weight: Float[Tensor, "b p"],
    error: Float[Tensor, "b p"],
    most: float,
) -> Float[Tensor, "b 2 3"]:
    """One damped Gauss–Newton step of inverse compositional alignment.

    The step is clamped to ±`most`, and its inverse taken to first order.
    """
    weighted = slope * weight[:, None]
    curvature = weighted @ slope.transpose(1, 2)
    ridge = 0.01 * curvature.diagonal(dim1=1, dim2=2).mean(-1) + 1e-3
    curvature = curvature + ridge[:, None, None] * torch.eye(6)
    downhill = (weighted @ error[..., None]).squeeze(-1)
    step = torch.linalg.solve(curvature, downhill).unflatten(1, (2, 3)).clamp(-most, most)
    back = torch.eye(2) - step[:, :, :2]
    shift = (affine[:, :, :2] @ -step[:, :, 2:]).squeeze(-1)
    return torch.cat([affine[:, :, :2] @ back, (affine[:, :, 2] + shift)[..., None]], -1)


def in_blocks(
    work: Callable[[slice], Result],
    count: int,
    what: str = "",
    progress: Progress = no_progress,
) -> list[Result]:
    """`work` of the slices of range(count), in their order; as many at once as torch has threads.

    `progress` is told how many are done of `what`.
    """
    slices = [slice(first, min(first + BLOCK, count)) for first in range(0, count, BLOCK)]
    results: list[Result] = []
    with _one_thread_each() as pool:
        for part, result in zip(slices, pool.map(work, slices), strict=True):
            results.append(result)
            progress(what, part.stop, count)
    return results


@contextmanager
def _one_thread_each() -> Iterator[ThreadPoolExecutor]:
    """A pool whose threads work alone: small products are slower when they are shared."""
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    torch.set_num_threads(1)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


@functools.cache
def _homogeneous(side: int) -> Float[Tensor, "3 p"]:
    y, x = places(side)
    return torch.stack([x, y, torch.ones_like(x)]).view(3, -1)


@functools.cache
def _blur(side: int) -> Float[Tensor, "s s"]:
    matrix = torch.zeros(side, side)
    row = torch.arange(side)
    for offset, weight in zip(range(-2, 3), (1.0, 4.0, 6.0, 4.0, 1.0), strict=True):
        matrix.index_put_(
            (row, (row + offset).clamp(0, side - 1)), torch.tensor(weight / 16), accumulate=True
        )
    return matrix


@functools.cache
def _windows(side: int, window: int, step: int) -> Float[Tensor, "w s"]:
    first = torch.arange(0, side - window + 1, step)[:, None]
    pixel = torch.arange(side)
    return ((pixel >= first) & (pixel < first + window)).float() / window


@functools.cache
def _neighbours(side: int) -> Float[Tensor, "s s"]:
    pixel = torch.arange(side)
    return ((pixel[:, None] - pixel).abs() <= 1).float()
