"""What stays the same when a photograph is turned, mirrored, zoomed or made brighter.

Every image is reduced to 32×32 pixels. Its inner disc is resampled on a log-polar grid (Reddy &
Chatterji 1996, IEEE Trans. Image Processing 5(8), section II),

    p[k, a] = x(r_k cos θ_a, r_k sin θ_a),   r_k = R q^−k,   θ_a = 2πa/A,

where a rotation is a shift along a, a mirror image a reversal of a, and a zoom by q a shift along
k. The Fourier coefficients F[k, m] along a keep their magnitude under the first two; a window of
rows that begins s rows further in shows what a copy zoomed by q^s shows. Mean and deviation over
the disc are divided out, so that brightness and contrast do not matter.

Which of the magnitudes tell photographs apart, and which change with windows off the centre, black
corners and resampling, is learned from the data set itself: images are warped at random, and a
linear discriminant analysis (Fisher 1936) finds the directions P where photographs spread most
relative to the spread S_w between an image and its warped copy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F

from normlab.data.duplicates.raster import dilated, in_blocks
from normlab.data.scan import Progress, no_progress

SIDE = 32
"""Pixels a side at which images are compared."""
ROWS = 26
WINDOW = 20
"""Rows of the grid, and those of them that a descriptor sees."""
ZOOM_STEP = 1.07
"""q; five rows further in is a zoom of 1.4, what cutting off the corners of a 45° turn needs."""
ZOOMS = tuple(range(ROWS - WINDOW))
"""s, the number of rows skipped."""
ANGLES = 64
HARMONICS = 16
RADIUS = 0.97
"""R, the radius of the grid's outermost row, in half sides of the image."""
DIMENSIONS = 48
BLACK = 12
"""A pixel whose channels are all darker may be a filled corner."""
FLAT = 2.0
"""Images with a smaller deviation of luminance show nothing."""
SHEAR, ROOM = 0.2, 0.1
"""How far the warps that teach the projection shear, stretch and shift, in half sides."""
_BLOCK = 512
_RINGS = WINDOW // 2
_OPPONENT = ((1 / 3, 1 / 3, 1 / 3), (1.0, 0.0, -1.0), (-0.5, 1.0, -0.5))
"""Luminance, red − blue, green − the mean of both."""


@dataclass(frozen=True, eq=False)
class Small:
    """Images at 32×32 pixels."""

    pixels: UInt8[Tensor, "n 3 32 32"]
    valid: Bool[Tensor, "n 32 32"]
    """False in black corners and bars."""

    def floats(self, rows: Tensor | slice) -> Float[Tensor, "b 3 32 32"]:
        """Some images; what is not valid has the mean of what is."""
        return filled(self.pixels[rows].float(), self.valid[rows, None].float())


def shrink(
    images: UInt8[np.ndarray, "n s s 3"],
    rows: Int[np.ndarray, " m"],
    progress: Progress = no_progress,
    squash: Float[Tensor, "m 2"] | None = None,
) -> Small:
    """Reduce some images, block by block, to 32×32 means of pixels, and find black corners.

    With `squash`, the largest squares in the middle of the pictures before they were squashed.
    """
    pixels = torch.empty(len(rows), 3, SIDE, SIDE, dtype=torch.uint8)
    valid = torch.empty(len(rows), SIDE, SIDE, dtype=torch.bool)

    def write(block: slice) -> None:
        full = torch.from_numpy(images[rows[block]]).permute(0, 3, 1, 2).contiguous().float()
        if squash is not None:
            middle = F.pad(torch.diag_embed(squash[block]), (0, 1))
            grid = F.affine_grid(middle, list(full.shape), align_corners=False)
            full = F.grid_sample(full, grid, padding_mode="border", align_corners=False)
        small = F.interpolate(full, size=(SIDE, SIDE), mode="area").round_()
        pixels[block] = small.to(torch.uint8)
        valid[block] = ~border_black(small)

    in_blocks(write, len(rows), "describing", progress)
    return Small(pixels, valid)


def textured(small: Small) -> Bool[Tensor, " n"]:
    """Whether there is anything to compare: a deviation of more than 2 of 255 somewhere."""

    def some(rows: slice) -> Bool[Tensor, " b"]:
        return small.floats(rows).mean(1).flatten(1).std(1) > FLAT

    return torch.cat(in_blocks(some, len(small.pixels)))


def border_black(pixels: Float[Tensor, "b 3 h w"]) -> Bool[Tensor, "b h w"]:
    """Where black reaches in from the border, one pixel more around it.

    Nothing where it would be more than 60 % of the image: that is a dark picture.
    """
    dark = (pixels.amax(1, keepdim=True) < BLACK).float()
    reached = dark.clone()
    reached[..., 1:-1, 1:-1] = 0
    for _ in range(SIDE // 2):  # corners are convex: this is more than they need
        wider = dilated(reached) * dark
        if torch.equal(wider, reached):
            break
        reached = wider
    some = reached.mean((1, 2, 3), keepdim=True)
    wider = dilated(reached)
    masked = torch.logical_and(wider > 0, (some > 0.005) & (some <= 0.6))
    return masked.squeeze(1)


def spectra(pixels: Float[Tensor, "b 3 32 32"]) -> Complex[Tensor, "b 3 k m"]:
    """F[k, m] = 1/A Σ_a p[k, a] e^(−2πi m a / A) of luminance and two differences of colour."""
    grid = _grid().expand(len(pixels), -1, -1, -1)
    polar = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    polar = torch.einsum("cd,bdka->bcka", torch.tensor(_OPPONENT), polar)
    waves: Tensor = torch.fft.rfft(polar)[..., :HARMONICS]
    return waves / ANGLES


def features(spectrum: Complex[Tensor, "b 3 k m"], skip: int) -> Float[Tensor, "b f"]:
    """√|F[k, m]|, and F[k, 0] less its mean, over rings of two rows; and the mean colour.

    All are divided by the deviation of the luminance over the disc.
    """
    window = spectrum[:, :, skip : skip + WINDOW]
    area = ZOOM_STEP ** (-2.0 * torch.arange(WINDOW))
    area = area / area.sum()
    rings = window[..., 0].real
    mean = (rings * area).sum(-1, keepdim=True)
    rings = rings - mean
    size = window[..., 1:].abs()
    power = (rings[:, 0].square() + 2 * size[:, 0].square().sum(-1)) @ area
    deviation = (power + 4).sqrt()[:, None, None]
    parts = torch.cat([(rings / deviation)[..., None], (size / deviation[..., None]).sqrt()], -1)
    parts = parts.unflatten(2, (_RINGS, 2)).mean(3) * 0.95 ** torch.arange(_RINGS)[:, None]
    bright = mean[:, :1].clamp_min(8)
    colour = torch.cat([mean[:, 1:], deviation], 1) / bright
    return torch.cat([parts.flatten(1), 2 * colour.flatten(1)], 1)


@dataclass(frozen=True, eq=False)
class Projection:
    """The learned linear map from features to descriptors."""

    mean: Float[Tensor, " f"]
    directions: Float[Tensor, "f d"]

    def __call__(self, spectrum: Complex[Tensor, "b 3 k m"], skip: int) -> Float[Tensor, "b d"]:
        """Descriptors of length 1, each image seen zoomed in by `skip` rows."""
        return F.normalize((features(spectrum, skip) - self.mean) @ self.directions)


@dataclass(frozen=True, eq=False)
class Described:
    """The images of a data set by their spectra."""

    zoomed: tuple[Float[Tensor, "n d"], ...]
    """Descriptors at each of ZOOMS."""
    luminance: Complex[Tensor, "n k m"]
    """The spectra of the luminance."""


def described(small: Small) -> Described:
    """Learn the projection, and describe every image; in blocks, since spectra are large."""
    count = len(small.pixels)
    projection = learn_projection(small)
    zoomed = tuple(torch.empty(count, projection.directions.shape[1]) for _ in ZOOMS)
    luminance = torch.empty(count, ROWS, HARMONICS, dtype=torch.complex64)

    def write(rows: slice) -> None:
        spectrum = spectra(small.floats(rows))
        luminance[rows] = spectrum[:, 0]
        for skip, out in zip(ZOOMS, zoomed, strict=True):
            out[rows] = projection(spectrum, skip)

    in_blocks(write, count)
    return Described(zoomed, luminance)


def learn_projection(small: Small, sample: int = 4000) -> Projection:
    """P, from some of the images and what is made of them by warps."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randperm(len(small.pixels), generator=generator)[:sample]
    own = torch.cat(
        [features(spectra(small.floats(block)), 0) for block in rows.split(_BLOCK)]
    ).double()
    mean = own.mean(0)
    total = (own - mean).T @ (own - mean) / len(own)
    within = torch.zeros_like(total)
    rounds = max(2, math.ceil(2000 / len(own)))
    for _ in range(rounds):
        for block, known in zip(rows.split(_BLOCK), own.split(_BLOCK), strict=True):
            duplicates = _warped(small.pixels[block].float(), small.valid[block], generator)
            change = known - features(spectra(duplicates), 0)
            within += change.T @ change / (2 * rounds * len(own))
    return Projection(mean.float(), discriminant(total, within).float())


def discriminant(total: Float[Tensor, "f f"], within: Float[Tensor, "f f"]) -> Tensor:
    """The leading eigenvectors of S_w⁻¹ S_t, S_w shrunk by 2 % to the identity."""
    size = within.shape[0]
    within = within + torch.eye(size, dtype=within.dtype) * (0.02 * within.trace() / size + 1e-12)
    root = torch.linalg.cholesky(within)
    half = torch.linalg.solve_triangular(root, total, upper=False)
    whitened = torch.linalg.solve_triangular(root, half.T, upper=False)
    _, vectors = torch.linalg.eigh((whitened + whitened.T) / 2)
    directions: Tensor = torch.linalg.solve_triangular(root.T, vectors[:, -DIMENSIONS:], upper=True)
    return directions


def _warped(
    pixels: Float[Tensor, "b 3 32 32"], valid: Bool[Tensor, "b 32 32"], generator: torch.Generator
) -> Float[Tensor, "b 3 32 32"]:
    """Turned, mirrored, sheared, shifted, ±20 % brighter; half of them zoomed by 0.86 to 1.3."""
    count = len(pixels)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=generator) * (high - low) + low

    angle, mirror = uniform(-math.pi, math.pi), uniform(-1, 1).sign()
    scale = torch.where(uniform(-1, 1) > 0, torch.exp(-uniform(-0.15, math.log(1.3))), 1.0)
    room = (1 - scale).clamp_min(ROOM)
    right, down = uniform(-1, 1) * room, uniform(-1, 1) * room
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    stretch, shear = torch.exp(uniform(-SHEAR, SHEAR)) * mirror, uniform(-SHEAR, SHEAR)
    rows = [torch.stack([cosine * stretch, cosine * shear - sine, right], -1)]
    rows += [torch.stack([sine * stretch, sine * shear + cosine, down], -1)]
    grid = F.affine_grid(torch.stack(rows, 1), [count, 1, SIDE, SIDE], align_corners=False)
    stack = torch.cat([pixels * uniform(0.8, 1.2)[:, None, None, None], valid[:, None]], 1)
    warped = F.grid_sample(stack, grid, align_corners=False)
    return filled(warped[:, :3].clamp(0, 255), (warped[:, 3:] > 0.99).float())


def filled(pixels: Tensor, valid: Tensor) -> Tensor:
    """What is not valid has the mean of what is."""
    mean = (pixels * valid).sum((2, 3), keepdim=True) / valid.sum((2, 3), keepdim=True).clamp_min(1)
    return pixels * valid + mean * (1 - valid)


def _grid() -> Float[Tensor, "k a 2"]:
    radius = RADIUS * ZOOM_STEP ** -torch.arange(ROWS, dtype=torch.float32)[:, None]
    angle = 2 * math.pi * torch.arange(ANGLES) / ANGLES
    return torch.stack([radius * angle.cos(), radius * angle.sin()], -1)
