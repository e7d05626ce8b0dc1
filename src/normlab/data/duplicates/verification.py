"""Do two pictures that were laid over each other agree everywhere, or only on the background?

At 64×64 pixels the source S, warped by the refined map, given the gain g and the offset o that fit
best (robustly, so that an object that only one shows does not bend them), is compared with the
target T in windows b of 8×8 pixels, 4 apart, wherever both are seen:

    worst = max_b D_b / (n² + δ² G_b),

with D_b the mean of (g S + o − T)² in luminance, and half of that in colour; G_b the mean squared
gradient of the picture that has less of it. n and δ are what a copy may differ by: noise of
encoding, in levels of 255 (more in a picture of few pixels), and a misplacement, in pixels. Another
object on the same wall, a hand that moved by a pixel, other words on the same form make at least
one window disagree by far more than that, however well everything else agrees; and no average over
the frame can hide it.

A plain wall agrees with any plain wall. So there must be detail that agrees as well: `detail` is
how many windows (of those that do not overlap) have any, `agreement` their mean correlation,
weighted by the share of their variance that is not noise. A straight edge agrees with any straight
edge that is turned to it: where the gradients of a picture all point one way there is no detail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F

from normlab.data.duplicates.alignment import plausible
from normlab.data.duplicates.raster import (
    Steps,
    blurred,
    descended,
    dilated,
    gradient,
    in_blocks,
    places,
    pooled,
    warp,
)
from normlab.data.duplicates.shapes import Shapes, squared_map, true_map, turn_and_zoom
from normlab.data.scan import Progress, no_progress
from normlab.norms.fused.cpu.build import PAIRS
from normlab.norms.fused.cpu.loader import has_operators

SIDE = 64
"""Pixels a side at which pairs are verified."""
NOISE, MISPLACED = 4.0, 0.3
"""n and δ."""
CLIPPED = 250.0
"""A level from which a picture may have been brighter than it can show."""
PIXEL = 1.35
"""The variance of the blur of a prepared picture, in pixels: that of `blurred`, and its own."""
GAIN = (0.6, 1.0 / 0.6)
RADIUS = 0.94
"""Of the disc that is compared where one picture is turned, in half sides."""
STRAIGHT = 0.03
"""The smaller eigenvalue of Σ ∇ ∇ᵀ by the larger one, below which there is nothing but an edge."""
SHARPER = 2.0
"""How many times more of the finest detail a picture has that is blurred to match the other."""
_SOFTENED = 6
"""Blurs by one pixel's variance at most, so that both are equally soft."""
_WINDOW, _STEP = 8, 4
_STEPS = Steps(3, 0.1, robust=True)
_UPRIGHT = 4.0
"""Degrees around the quarter turns within which the corners of the frame must agree too: other
rotations leave filled corners behind, so that only the disc inside is compared."""
_SETTLED = (1.5, 150.0)
"""Values of `worst` that a refinement of the map would not change the name of."""
_NEARLY = (3.0, 40.0)
"""The same of a refinement from a second start."""


Pair = tuple[Shapes, Shapes]
Part = tuple[Tensor, Tensor, Pair]
"""Sources, targets and their shapes."""


@dataclass(frozen=True, eq=False)
class Verification:
    """How far the two pictures of each pair agree."""

    affine: Float[Tensor, "k 2 3"]
    """Source coordinates from target coordinates, refined."""
    worst: Float[Tensor, " k"]
    agreement: Float[Tensor, " k"]
    detail: Float[Tensor, " k"]

    def of(self, rows: Int[Tensor, " b"]) -> Verification:
        """That of some pairs."""
        return Verification(
            self.affine[rows], self.worst[rows], self.agreement[rows], self.detail[rows]
        )

    def take(self, rows: Int[Tensor, " b"], new: Verification, kept: Bool[Tensor, " b"]) -> None:
        """Have those of `rows` that are kept replaced by the new ones."""
        for name in ("affine", "worst", "agreement", "detail"):
            getattr(self, name)[rows[kept]] = getattr(new, name)[kept]

    @property
    def score(self) -> Float[Tensor, " k"]:
        """20 / (20 + worst): 1 for equal pixels, .80 for a window five times as far as noise."""
        return 20 / (20 + self.worst)


def verify(
    images: tuple[UInt8[np.ndarray, "n s s 3"], Int[np.ndarray, " d"]],
    valid: Bool[Tensor, "d h w"],
    shapes: Shapes,
    source: Int[Tensor, " k"],
    target: Int[Tensor, " k"],
    affine: Float[Tensor, "k 2 3"],
    progress: Progress = no_progress,
) -> Verification:
    """Compare the pairs window by window.

    Args:
        images: pixels, and which of them the other numbers count.
        valid: false in black corners.
        shapes: of the pictures before they were squashed.
        source: number of the first image of each pair.
        target: number of the second.
        affine: source coordinates from target coordinates, roughly.
        progress: is told how many are done.
    """

    def verified(block: slice) -> Verification:
        one = _loaded(images, valid, source[block])
        two = _loaded(images, valid, target[block])
        shape = shapes.of(source[block]), shapes.of(target[block])
        return _verified(one, two, affine[block], shape)

    parts = in_blocks(verified, len(source), "verifying", progress)
    if not parts:
        nothing = torch.zeros(0)
        return Verification(torch.zeros(0, 2, 3), nothing, nothing, nothing)
    return Verification(
        torch.cat([part.affine for part in parts]),
        torch.cat([part.worst for part in parts]),
        torch.cat([part.agreement for part in parts]),
        torch.cat([part.detail for part in parts]),
    )


def _loaded(
    images: tuple[UInt8[np.ndarray, "n s s 3"], Int[np.ndarray, " d"]],
    valid: Bool[Tensor, "d h w"],
    rows: Tensor,
) -> Float[Tensor, "b 4 64 64"]:
    """The three channels, a little blurred, and what is valid."""
    bytes_ = torch.from_numpy(images[0][images[1][rows.numpy()]])
    pixels = bytes_.permute(0, 3, 1, 2).contiguous().float()
    if pixels.shape[-1] != SIDE:
        pixels = F.interpolate(pixels, size=(SIDE, SIDE), mode="area")
    scale = SIDE // valid.shape[-1]
    seen = valid[rows].float().repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    seen = 1 - dilated(1 - seen)  # the blur has carried black further
    return torch.cat([blurred(pixels), seen[:, None]], 1)


def _verified(one: Tensor, two: Tensor, affine: Tensor, shape: Pair) -> Verification:
    """Measured as they lie; those that are not clear are refined, from two starts, and softened."""
    found = _measured(one, two, affine, shape)

    def again(
        better: Callable[[Verification, Part], Verification], low: float, high: float
    ) -> None:
        rows = ((found.worst > low) & (found.worst < high)).nonzero()[:, 0]
        if len(rows):
            own = shape[0].of(rows), shape[1].of(rows)
            now = found.of(rows)
            new = better(now, (one[rows], two[rows], own))
            kept = (new.worst < now.worst) & (new.detail > 0.7 * now.detail)
            # not by sliding away from each other
            found.take(rows, new, kept & _plausible(new.affine, own))

    again(_refined, *_SETTLED)
    again(_refined_without_shear, *_NEARLY)
    again(_softened, *_SETTLED)
    return found


def _refined(now: Verification, part: Part) -> Verification:
    one, two, shape = part
    return _measured(one, two, _descended(one, two, now.affine), shape)


def _refined_without_shear(now: Verification, part: Part) -> Verification:
    """From the turn and zoom nearest to the map: at 32 pixels it may have gone astray."""
    one, two, shape = part
    start = squared_map(turn_and_zoom(true_map(now.affine, *shape)), *shape)
    return _measured(one, two, _descended(one, two, start), shape)


def _softened(now: Verification, part: Part) -> Verification:
    one, two, shape = part
    first, second = _finest(one), _finest(two)
    rows = (torch.maximum(first, second) > SHARPER * torch.minimum(first, second)).nonzero()[:, 0]
    if not len(rows):
        return now
    own = shape[0].of(rows), shape[1].of(rows)
    new = now.of(torch.arange(len(now.worst)))
    softer = _measured(one[rows], two[rows], now.affine[rows], own, soft=True)
    new.take(rows, softer, torch.ones_like(rows, dtype=torch.bool))
    return new


def _plausible(affine: Tensor, shape: Pair) -> Tensor:
    """As the squares lie, or as the pictures do that were squashed to them."""
    return torch.logical_or(plausible(affine), plausible(true_map(affine, *shape)))


def _measured(
    one: Tensor, two: Tensor, affine: Tensor, shape: Pair, *, soft: bool = False
) -> Verification:
    true = true_map(affine, *shape)
    turn = torch.rad2deg(torch.atan2(true[:, 1, 0], true[:, 0, 0]))
    tilted = ((turn + 45) % 90 - 45).abs() > _UPRIGHT
    noise = torch.maximum(shape[0].noise, shape[1].noise)
    if has_operators(PAIRS):
        own = torch.cat([tilted.float()[:, None], shape[1].squash, noise[:, None]], 1)
        found: Tensor = torch.ops.normlab_pairs.compared(one, two, affine.contiguous(), own, soft)
        return Verification(affine.clone(), *found.T.contiguous())
    return _compared((one, two), affine, (tilted, shape[1].squash, noise), soft=soft)


def _compared(
    pictures: tuple[Tensor, Tensor],
    affine: Tensor,
    shape: tuple[Tensor, Tensor, Tensor],
    *,
    soft: bool,
) -> Verification:
    """By operations on tensors; `shape`: which are tilted, the target's squash, the noise."""
    one, two = pictures
    tilted, squash, coarse = shape
    under = two[:, 3:] * (warp(one[:, 3:], affine) > 0.95)
    seen, target = _equally_sharp(warp(one[:, :3], affine, "border"), two[:, :3], affine)
    under = torch.where(tilted[:, None, None, None], under * _disc(squash), under)
    if soft:
        seen, target = _equally_soft(seen, target, under)
    shown = _exposed(seen, target, under)
    # what is white in one picture may be brighter than that in the other
    error = shown.clamp(0, 255) - target
    error = torch.where((target >= CLIPPED) & (error > 0), 0.0, error)
    error = torch.where((seen >= CLIPPED) & (error < 0), 0.0, error)
    grey = error.mean(1, keepdim=True)
    wrong = grey.square() + 0.5 * (error - grey).square().mean(1, keepdim=True)
    a, b = shown.mean(1, keepdim=True), target.mean(1, keepdim=True)
    slope = torch.minimum(_slope(a), _slope(b))
    stack = torch.cat([wrong, slope, a, b, a * a, b * b, a * b], 1) * under
    share = pooled(under, _WINDOW, _STEP)
    mean = pooled(stack, _WINDOW, _STEP) / share.clamp_min(1e-3)
    counted = (share > 0.5).float()[:, 0]
    noise = NOISE**2 * coarse[:, None, None].square()
    ratio = mean[:, 0] / (noise + MISPLACED**2 * mean[:, 1]) * counted
    first = (mean[:, 4] - mean[:, 2].square()).clamp_min(1)
    second = (mean[:, 5] - mean[:, 3].square()).clamp_min(1)
    alike = (mean[:, 6] - mean[:, 2] * mean[:, 3]) / (first * second).sqrt()
    least = torch.minimum(first, second) - 1
    weight = least / (least + noise) * counted
    total = weight.sum((1, 2))
    nothing = counted.sum((1, 2)) == 0
    worst = torch.where(nothing, torch.inf, ratio.amax((1, 2)))
    agreement = (weight * alike).sum((1, 2)) / total.clamp_min(1e-3)
    shapely = torch.minimum(_roundness(a, under), _roundness(b, under)) >= STRAIGHT
    detail = total * shapely * (_STEP / _WINDOW) ** 2
    return Verification(affine.clone(), worst, agreement, detail)


def _equally_sharp(source: Tensor, target: Tensor, affine: Tensor) -> tuple[Tensor, Tensor]:
    """The one that shows more detail, blurred to what the other one can show.

    Warping a picture by a zoom z stretches its blur, of variance PIXEL, by z². The blend of a
    picture with its blurred self, (1 − α) x + α B x, adds the variance α of B's.
    """
    zoom = 1 / torch.linalg.det(affine[:, :, :2]).abs().clamp_min(1e-3)
    more = (PIXEL * (zoom - 1)).clamp(-1, 1)[:, None, None, None]
    softer = target + more.clamp_min(0) * (blurred(target) - target)
    return source - more.clamp_max(0) * (blurred(source) - source), softer


def _equally_soft(source: Tensor, target: Tensor, under: Tensor) -> tuple[Tensor, Tensor]:
    """The one with more of the finest detail, blurred until it has as much as the other one.

    A copy of half the size has lost what lies beyond its own pixels, whatever the map says.
    """
    first, second = (_finest(torch.cat([part, under], 1)) for part in (source, target))
    swap = (second > first)[:, None, None, None]
    now, soft = torch.where(swap, target, source), torch.where(swap, source, target)
    have, wanted = torch.maximum(first, second).sqrt(), torch.minimum(first, second).sqrt()
    for _ in range(_SOFTENED):
        softer = blurred(now)
        left = _finest(torch.cat([softer, under], 1)).sqrt()
        part = ((have - wanted) / (have - left).clamp_min(1e-3)).clamp(0, 1)
        now = now + part[:, None, None, None] * (softer - now)
        have = torch.where(part < 1, wanted, left)
    return torch.where(swap, soft, now), torch.where(swap, now, soft)


def _finest(picture: Float[Tensor, "b 4 64 64"]) -> Float[Tensor, " b"]:
    """The mean square of luminance less its blurred self, where it is valid."""
    grey, under = picture[:, :3].mean(1, keepdim=True), picture[:, 3:]
    fine = (grey - blurred(grey)).square() * under
    return fine.sum((1, 2, 3)) / under.sum((1, 2, 3)).clamp_min(1)


def _exposed(source: Tensor, target: Tensor, under: Tensor) -> Tensor:
    """The source with the gain and the offset (one for all channels) that fit the target best.

    Four rounds of least squares on means of 4×4 pixels, where those that do not fit count less.
    """
    share = pooled(under, 4, 4)
    weight, have = share.expand(-1, 3, -1, -1).flatten(1), share.clamp_min(1e-3)
    x = (pooled(source * under, 4, 4) / have).flatten(1)
    y = (pooled(target * under, 4, 4) / have).flatten(1)
    now = weight
    for _ in range(4):
        total = now.sum(1, keepdim=True).clamp_min(1e-3)
        x0, y0 = (x * now).sum(1, keepdim=True) / total, (y * now).sum(1, keepdim=True) / total
        both = ((x - x0) * (y - y0) * now).sum(1, keepdim=True) / total
        own = ((x - x0).square() * now).sum(1, keepdim=True) / total
        gain = ((both + 1) / (own + 1)).clamp(*GAIN)
        error = ((x - x0) * gain + y0 - y).square()
        scale = (error * now).sum(1, keepdim=True) / total
        now = weight / (1 + error / (2 * scale + 4))
    line = gain[..., None, None]
    return (source - x0[..., None, None]) * line + y0[..., None, None]


def _descended(one: Tensor, two: Tensor, affine: Tensor) -> Tensor:
    """The map, refined on luminance; pixels that do not fit count less."""
    moving = torch.cat([one[:, :3].mean(1, keepdim=True), one[:, 3:]], 1)
    return descended(moving, two[:, :3].mean(1), two[:, 3], affine, _STEPS)


def _slope(grey: Tensor) -> Tensor:
    down, right = gradient(grey)
    return down.square() + right.square()


def _roundness(grey: Tensor, under: Tensor) -> Float[Tensor, " b"]:
    """λ₂/λ₁ of the structure tensor Σ ∇ ∇ᵀ: 0 for parallel edges, 1 where all directions occur."""
    down, right = gradient(grey)
    xx, yy, xy = (
        (one * two * under).sum((1, 2, 3))
        for one, two in ((right, right), (down, down), (right, down))
    )
    root = ((xx - yy).square() + 4 * xy.square()).sqrt()
    return (xx + yy - root) / (xx + yy + root).clamp_min(1e-3)


def _disc(squash: Float[Tensor, "b 2"]) -> Float[Tensor, "b 1 64 64"]:
    """The largest disc in the picture, which is an ellipse in the square."""
    y, x = places(SIDE)
    wide, high = squash[:, 0, None, None], squash[:, 1, None, None]
    inside = (x / wide).square() + (y / high).square() <= RADIUS**2
    return inside.float()[:, None]
