"""Is the map true? Deletion and insertion curves, the border's share, randomised weights.

    deletion    take the pixels away, the map's strongest first: the probability should fall fast
    insertion   bring them into a blurred picture: it should rise fast

The area under the probability of the map's class, over the share of the pixels, says how fast. A
map is worth something only where it beats an order that knows nothing of the network: random, and
the strength of the edges. Source: Petsiuk et al. 2018 (RISE), section 4.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageFilter
from scipy import ndimage

from normlab.data.load import standardise
from normlab.explain.gallery import ArmMaps, Gallery
from normlab.explain.sanity import randomized_correlations
from normlab.serving.predictor import Predictor
from normlab.stats.inference.intervals import paired_difference

STEPS = 16
"""A curve has one point more."""
ORDERS = ("Grad-CAM", "random", "edges")


def measure(gallery: Gallery, arm: ArmMaps, device: torch.device | str = "cpu") -> dict[str, Any]:
    """All numbers of one arm over the gallery's images, ready for JSON and the page.

    Returns:
        images, rows (an order each: mean areas, and the paired differences Grad-CAM minus this
        order with their 95 % t intervals), border_share, border_area, randomized, and the
        sentences and cells that the page prints.
    """
    predictor = Predictor.load(arm.run.record.folder, device)
    seed = gallery.options.seed
    areas: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for order in ORDERS:
        values = _values(order, gallery, arm, seed)
        areas[order] = curve_areas(predictor, gallery.pixels, values, gallery.targets, seed)
    share, area = border_share(arm.maps), border_area(arm.maps.shape[1])
    randomized = randomized_correlations(predictor, gallery, arm)
    rows = [_row(order, areas) for order in ORDERS]
    rhos = ", ".join(f"{name} {_number(value)}" for name, value in randomized.items())
    return {
        "images": len(gallery.places),
        "steps": STEPS,
        "rows": rows,
        "border_share": share,
        "border_area": area,
        "border_text": (
            f"The outer eighth of the image is {area:.0%} of its area and has {_percent(share)} of "
            "the maps' mass."
        ),
        "randomized": randomized,
        "randomized_text": (
            "Rank correlation with the maps after the weights were put back to random ones, from "
            f"the classifier downward (near 0: the map depends on what was learnt): {rhos}."
        ),
    }


def table(found: dict[str, Any]) -> str:
    """The numbers of `measure` as text."""
    head = ("order", "deletion", "insertion", "Grad-CAM − this: deletion", "insertion")
    rows = [head]
    for row in found["rows"]:
        cells = ("deletion_text", "insertion_text")
        differences = ("deletion_difference_text", "insertion_difference_text")
        rows.append((row["order"], *(row[name] for name in (*cells, *differences))))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(
        [*(line.rstrip() for line in lines), found["border_text"], found["randomized_text"]]
    )


@torch.inference_mode()
def curve_areas(
    predictor: Predictor,
    pixels: UInt8[np.ndarray, "n s s 3"],
    values: Float[np.ndarray, "n s s"],
    targets: tuple[int, ...],
    seed: int = 0,
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Areas under the deletion and the insertion curve of every image, each in [0, 1].

    Args:
        predictor: the network.
        pixels: the images.
        values: the larger, the earlier a pixel is deleted or inserted; equal ones (all that
            Grad-CAM cuts off at 0) come in random order, for a fixed one would favour a side.
        targets: class of each image.
        seed: of that order.
    """
    deletion, insertion = np.empty(len(pixels)), np.empty(len(pixels))
    device = predictor.mean.device
    for number, picture in enumerate(pixels):
        rank = torch.from_numpy(pixel_ranks(values[number], [seed, number])).to(device)
        image = standardise(
            torch.from_numpy(np.stack([picture, _blurred(picture)])).to(device),
            predictor.mean,
            predictor.std,
        )
        counts = torch.arange(STEPS + 1, device=device) * rank.numel() // STEPS
        chosen = (rank[None] < counts[:, None, None])[:, None]
        # 0 is the mean colour of the training images once the pixels are standardised.
        deleted = torch.where(chosen, torch.zeros_like(image[:1]), image[:1])
        inserted = torch.where(chosen, image[:1], image[1:])
        logits = predictor.network(torch.cat([deleted, inserted]))
        curve = logits.float().softmax(1)[:, targets[number]].cpu().numpy()
        deletion[number] = np.trapezoid(curve[: STEPS + 1]) / STEPS
        insertion[number] = np.trapezoid(curve[STEPS + 1 :]) / STEPS
    return deletion, insertion


def pixel_ranks(values: Float[np.ndarray, "s s"], seed: list[int]) -> Int[np.ndarray, "s s"]:
    """0 for the largest value, 1 for the next, …; equal values in random order."""
    flat = values.ravel()
    tie = np.random.default_rng(seed).random(flat.size)
    order = np.lexsort((tie, -flat))
    ranks = np.empty(flat.size, np.int64)
    ranks[order] = np.arange(flat.size)
    return ranks.reshape(values.shape)


def edge_strength(pixels: UInt8[np.ndarray, "s s 3"]) -> Float[np.ndarray, "s s"]:
    """√(g_x² + g_y²) of the grey picture by Sobel's masks: an order that knows no network."""
    grey = np.asarray(Image.fromarray(pixels).convert("L"), float)
    return np.hypot(ndimage.sobel(grey, 0), ndimage.sobel(grey, 1))


def border_width(size: int) -> int:
    """An eighth of the side, at least 1 pixel."""
    return max(1, round(size / 8))


def border_area(size: int) -> float:
    """The share of the image that is border: 1 − ((S − 2b)/S)²."""
    return float(1 - ((size - 2 * border_width(size)) / size) ** 2)


def border_share(maps: Float[np.ndarray, "n s s"]) -> float | None:
    """Mean over the images of the share of the map's mass on the border; None if all are empty."""
    width = border_width(maps.shape[1])
    mass = maps.sum((1, 2), dtype=float)
    inner = maps[:, width:-width, width:-width].sum((1, 2), dtype=float)
    some = mass > 0
    return float((1 - inner[some] / mass[some]).mean()) if some.any() else None


def _values(order: str, gallery: Gallery, arm: ArmMaps, seed: int) -> np.ndarray:
    if order == "Grad-CAM":
        return arm.maps
    if order == "edges":
        return np.stack([edge_strength(picture) for picture in gallery.pixels])
    return np.random.default_rng([seed, 1]).random(arm.maps.shape)


def _row(order: str, areas: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    row: dict[str, Any] = {"order": order}
    for name, own, first in zip(
        ("deletion", "insertion"), areas[order], areas["Grad-CAM"], strict=True
    ):
        row[name] = float(own.mean())
        row[f"{name}_text"] = f"{own.mean():.3f}"
        found = paired_difference(first - own)
        interval = found.interval
        bounds = None if interval is None else [interval.low, interval.high]
        same = order == "Grad-CAM"
        row[f"{name}_difference"] = None if same else found.mean
        row[f"{name}_interval"] = None if same else bounds
        text = "–" if same else f"{found.mean:+.3f}"
        if bounds is not None and not same:
            text += f" [{bounds[0]:+.3f}, {bounds[1]:+.3f}]"
        row[f"{name}_difference_text"] = text
    return row


def _blurred(pixels: UInt8[np.ndarray, "s s 3"]) -> UInt8[np.ndarray, "s s 3"]:
    """A Gaussian of an eighth of the side: colours stay, shapes go."""
    radius = pixels.shape[0] / 8
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:+.2f}"


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{share:.0%}"
