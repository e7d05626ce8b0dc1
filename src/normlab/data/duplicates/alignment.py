"""Is one image a copy of another? Both are laid over each other and compared pixel by pixel.

For each candidate pair the rotation comes from the correlation of the polar spectra over all
angles, once plain and once mirrored (Reddy & Chatterji 1996), the shift from the correlation of
the turned image over all shifts, and both are refined together with the proportions by
Gauss–Newton steps (Baker & Matthews 2004, IJCV 56(3), inverse compositional). The score is

    ρ = Σ w T S / √(Σ w T² · Σ w S²),

the normalized correlation of the target T and the warped source S, both less their blurred selves
(what differs between two photographs of one sky is the detail) and less their mean under w. The
weight w is 1 where the target's disc, the target's valid pixels and the source's overlap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int, Int8
from torch import Tensor

from normlab.data.duplicates.descriptors import SIDE, WINDOW, ZOOM_STEP, Small
from normlab.data.duplicates.raster import Steps, descended, in_blocks, places, warp

REACH = 7
"""Pixels of shift that are tried, of 32 a side."""
STEPS = ((1, Steps(5, 0.15)), (0, Steps(5, 0.15)))
"""Gauss–Newton: the half width of the blur, and the steps at it."""
HYPOTHESES = 6
"""Rotations that are tried, beside none."""
PROMISING = 0.33
"""The correlation from which a rotated and shifted pair is refined."""
STRETCH = 2.0
"""What a shear may do to the proportions."""
_TURNS = 256
_UNIT = 28.0
"""The deviation of the stored detail images, whose bytes then hold ±4.5 deviations."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """How the source of each pair was laid over its target, and how well it fits."""

    affine: Float[Tensor, "n 2 3"]
    """Source coordinates from target coordinates, both in half sides from the centre."""
    score: Float[Tensor, " n"]
    """ρ of luminance and colour together, −1 to 1."""
    fine: Float[Tensor, " n"]
    """ρ of luminance less its mean over 3×3 pixels, twice: small where only outlines agree."""
    spread: Float[Tensor, " n"]
    """Over how much of the overlap the detail is spread, (Σ w T²)² / (Σ w Σ w T⁴): 1/3 for noise,
    less for a bird in the sky, whose outline many pictures share."""
    overlap: Float[Tensor, " n"]
    """Σ w as a share of the image."""


def details(small: Small) -> Int8[Tensor, "n 4 32 32"]:
    """Luminance and two colour differences less their blurred selves; and the valid pixels."""
    out = torch.empty(len(small.pixels), 4, SIDE, SIDE, dtype=torch.int8)
    mix = torch.tensor(((1 / 3, 1 / 3, 1 / 3), (0.5, 0.0, -0.5), (-0.25, 0.5, -0.25)))

    def write(rows: slice) -> None:
        valid = small.valid[rows, None].float()
        channels = torch.einsum("cd,bdhw->bchw", mix, small.floats(rows)) * valid
        blurred = _blur(channels) / _blur(valid).clamp_min(1e-3)
        detail = (channels - blurred) * valid
        count = valid.sum((2, 3), keepdim=True).clamp_min(1)
        deviation = (detail[:, :1].square().sum((2, 3), keepdim=True) / count).sqrt().clamp_min(0.5)
        out[rows, :3] = (detail * (_UNIT / deviation)).round().clamp(-127, 127).to(torch.int8)
        out[rows, 3:] = valid.to(torch.int8)

    in_blocks(write, len(out))
    return out


def align(
    detail: Int8[Tensor, "n 4 32 32"],
    spectrum: Complex[Tensor, "n k m"],
    source: Int[Tensor, " b"],
    target: Int[Tensor, " b"],
    skip: Int[Tensor, " b"],
    promising: float = PROMISING,
) -> Alignment:
    """Lay each source over its target, which shows its centre zoomed in by `skip` rows.

    `spectrum` is that of the luminance. The pairs are worked on together: a block, not all.
    """
    turned = _turned(spectrum, source, target, skip)
    return align_from(detail, source, target, turned, promising)


def align_from(
    detail: Int8[Tensor, "n 4 32 32"],
    source: Int[Tensor, " b"],
    target: Int[Tensor, " b"],
    starts: list[Float[Tensor, "b 2 3"]],
    promising: float = PROMISING,
) -> Alignment:
    """Lay each source over its target from the best of some maps, shifted and refined."""
    goal, image = detail[target].float() / _UNIT, detail[source].float() / _UNIT
    weight = goal[:, 3:] * _UNIT * _disc()
    image[:, 3] *= _UNIT
    shift = _Shift(image, goal, weight)
    fits, maps = zip(*map(shift, starts), strict=True)
    fit, which = torch.stack(fits).max(0)
    affine = torch.stack(maps)[which, torch.arange(len(fit))]
    nothing = torch.zeros_like(fit)
    share = weight.sum((1, 2, 3)) / SIDE**2
    out = Alignment(affine, fit.clone(), nothing.clone(), nothing, share)
    rows = (fit > promising).nonzero()[:, 0]
    if len(rows):
        image, goal, weight = image[rows], goal[rows], weight[rows]
        refined = _refined(image, goal, weight, affine[rows])
        found = _better(
            _measured(image, goal, weight, affine[rows]), _measured(image, goal, weight, refined)
        )
        out.affine[rows], out.score[rows] = found.affine, found.score
        out.fine[rows], out.spread[rows] = found.fine, found.spread
        out.overlap[rows] = found.overlap
    return out


def _turned(
    spectrum: Complex[Tensor, "n k m"], source: Tensor, target: Tensor, skip: Tensor
) -> list[Float[Tensor, "b 2 3"]]:
    """The most likely rotations, plain and mirrored, by the correlation over 4·A angles.

    Σ_θ T(θ) S(φ ± θ) = Σ_m F_T* F_S e^{imφ}, or F_T F_S for the minus of a mirror image.
    """
    rows = skip[:, None] + torch.arange(WINDOW)
    inner = spectrum[source[:, None], rows]
    radius = ZOOM_STEP ** -torch.arange(WINDOW, dtype=torch.float32)
    outer = spectrum[target, :WINDOW] * radius[:, None] ** 2
    order = torch.arange(spectrum.shape[-1], dtype=torch.float32).sqrt()
    product = torch.stack([(outer.conj() * inner).sum(1), (outer * inner).sum(1)], 1) * order
    curve = torch.fft.irfft(product, n=_TURNS)
    scale = ZOOM_STEP ** -skip.float()
    zero = torch.zeros_like(scale)
    found = []
    for _ in range(HYPOTHESES):
        place = curve.flatten(1).argmax(1)
        sign = 1.0 - 2.0 * (place // _TURNS)
        angle = (place % _TURNS) * (2 * math.pi / _TURNS)
        cosine, sine = scale * angle.cos(), scale * angle.sin()
        upper = torch.stack([cosine, -sine * sign, zero], -1)
        found.append(torch.stack([upper, torch.stack([sine, cosine * sign, zero], -1)], 1))
        near = torch.arange(-_TURNS // 24, _TURNS // 24 + 1)
        beside = (place[:, None] + near) % _TURNS + (place[:, None] // _TURNS) * _TURNS
        curve = curve.flatten(1).scatter(1, beside, -torch.inf).unflatten(1, (2, _TURNS))
    for sign in (-1.0, 1.0):  # a window off the centre, whose polar spectrum says little
        upper = torch.stack([sign * scale, zero, zero], -1)
        found.append(torch.stack([upper, torch.stack([zero, scale, zero], -1)], 1))
    return found


class _Shift:
    """The shift t of the largest Σ_x T(x) S(x + t), the latter by the sizes of both; the map."""

    def __init__(self, image: Tensor, goal: Tensor, weight: Tensor) -> None:
        seen = (goal[:, :1] * weight)[:, 0]
        self._image, self._weight = image[:, :1], weight[:, 0]
        self._spectrum = torch.fft.rfft2(seen).conj()
        self._power = seen.square().sum((1, 2))

    def __call__(self, affine: Float[Tensor, "b 2 3"]) -> tuple[Tensor, Tensor]:
        """How well each source fits, turned by a map and shifted; and the map that does both."""
        turned = warp(self._image, affine)[:, 0]
        curve = torch.fft.irfft2(self._spectrum * torch.fft.rfft2(turned), s=(SIDE, SIDE))
        near = torch.arange(-REACH, REACH + 1) % SIDE
        value, place = curve[:, near[:, None], near].flatten(1).max(1)
        under = turned.square_().mul_(self._weight).sum((1, 2))
        fit = value / (self._power * under).sqrt().clamp_min(1e-3)
        down, right = place // (2 * REACH + 1) - REACH, place % (2 * REACH + 1) - REACH
        shift = torch.stack([right, down], -1).float() * (2 / SIDE)
        moved = affine.clone()
        moved[:, :, 2] += torch.einsum("bij,bj->bi", affine[:, :, :2], shift)
        return fit, moved


def _refined(image: Tensor, goal: Tensor, weight: Tensor, affine: Tensor) -> Tensor:
    """Gauss–Newton steps on the map, first on pictures that are a little blurred."""
    for blur, steps in STEPS:
        moving = torch.cat([_soft(image[:, :1], blur), image[:, 3:]], 1)
        fixed = _soft(goal[:, :1], blur)[:, 0]
        affine = descended(moving, fixed, weight[:, 0], affine, steps)
    return affine


def _measured(image: Tensor, goal: Tensor, weight: Tensor, affine: Tensor) -> Alignment:
    warped = warp(image, affine)
    under = weight * warped[:, 3:]
    share = under.sum((1, 2, 3)) / SIDE**2
    count = under.sum((2, 3), keepdim=True).clamp_min(1)
    left = goal[:, :3] - (goal[:, :3] * under).sum((2, 3), keepdim=True) / count
    right = warped[:, :3] - (warped[:, :3] * under).sum((2, 3), keepdim=True) / count
    both = (left * right * under).sum((1, 2, 3))
    fine = _fine(goal[:, :1], warped[:, :1], under)
    spread = torch.minimum(_spread(left[:, :1], under), _spread(right[:, :1], under))
    total = (left.square() * under).sum((1, 2, 3)) * (right.square() * under).sum((1, 2, 3))
    return Alignment(affine, both / total.sqrt().clamp_min(1e-3), fine, spread, share)


def _fine(one: Tensor, two: Tensor, weight: Tensor) -> Tensor:
    one, two = one - _soft(one, 1), two - _soft(two, 1)
    size = (one.square() * weight).sum((1, 2, 3)) * (two.square() * weight).sum((1, 2, 3))
    return (one * two * weight).sum((1, 2, 3)) / size.sqrt().clamp_min(1e-3)


def _spread(detail: Tensor, weight: Tensor) -> Tensor:
    power = detail.square() * weight
    fourth = (power * detail.square()).sum((1, 2, 3))
    return power.sum((1, 2, 3)).square() / (fourth * weight.sum((1, 2, 3))).clamp_min(1e-3)


def _better(one: Alignment, two: Alignment) -> Alignment:
    """Of two alignments of each pair the one that fits better and is no caricature."""
    take = (two.score > one.score) & plausible(two.affine) | ~plausible(one.affine)
    return Alignment(
        torch.where(take[:, None, None], two.affine, one.affine),
        torch.where(take, two.score, one.score),
        torch.where(take, two.fine, one.fine),
        torch.where(take, two.spread, one.spread),
        torch.where(take, two.overlap, one.overlap),
    )


def plausible(affine: Float[Tensor, "b 2 3"]) -> Tensor:
    """No direction more than STRETCH times as stretched as another; the zoom from 0.7 to 1.9."""
    square = affine[:, :, :2].square().sum((1, 2))
    area = torch.linalg.det(affine[:, :, :2]).abs()
    # with singular values a ≥ b: a² + b² and a b; a/b + b/a = square / area
    in_shape = square / area.clamp_min(1e-6) < STRETCH + 1 / STRETCH
    return torch.logical_and(in_shape, (area > 1.9**-2) & (area < 0.7**-2))


def _disc() -> Tensor:
    y, x = places(SIDE)
    return (y.square() + x.square() <= 1).float()


def _blur(channels: Tensor) -> Tensor:
    """A Gaussian of 3 pixels' deviation, cut off at 7; beyond the border there is nothing."""
    apart = (torch.arange(SIDE)[:, None] - torch.arange(SIDE)).float()
    matrix = torch.where(apart.abs() <= 7, torch.exp(-apart.square() / 18.0), 0.0)
    matrix = matrix / matrix[SIDE // 2].sum()
    return matrix @ channels @ matrix


def _soft(image: Tensor, blur: int) -> Tensor:
    """The mean of 2·blur + 1 pixels a side, of those that there are, twice."""
    if not blur:
        return image
    pixel = torch.arange(SIDE)
    matrix = ((pixel[:, None] - pixel).abs() <= blur).float()
    matrix = matrix / matrix.sum(1, keepdim=True)
    matrix = matrix @ matrix
    return matrix @ image @ matrix.T
