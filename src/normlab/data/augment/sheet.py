"""A picture of what an augmentation does: images in the first row, draws of theirs below."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from normlab.data.augment.apply import augment
from normlab.data.augment.draws import draw
from normlab.data.augment.mix import mix
from normlab.data.augment.policy import MIXING, operations
from normlab.randomness import torch_stream

COLUMNS, ROWS, GAP = 10, 5, 2


def augmentation_sheet(
    images: UInt8[np.ndarray, "n s s 3"], name: str, *, seed: int = 0
) -> Image.Image:
    """COLUMNS images spread over the data, and ROWS draws of each; grey is the mean colour."""
    chosen = np.unique(np.linspace(0, len(images) - 1, min(COLUMNS, len(images)), dtype=int))
    pixels = torch.from_numpy(np.ascontiguousarray(images[chosen]))
    policy = operations(name)
    mean, std = torch.full((3,), 0.5), torch.ones(3)
    rows = [pixels]
    for number in range(ROWS):
        draws = draw(len(pixels), pixels.shape[1], torch_stream(seed, number, "augment"))
        found = augment(pixels, draws, policy - MIXING, mean, std)
        if policy & MIXING:
            labels = torch.arange(len(pixels))
            found, _ = mix(found, labels, draws, policy, len(pixels))
        back = ((found + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
        rows.append(back.permute(0, 2, 3, 1))
    side = pixels.shape[1] + GAP
    sheet = Image.new("RGB", (side * len(pixels) - GAP, side * len(rows) - GAP), "white")
    for y, row in enumerate(rows):
        for x, values in enumerate(row.unbind(0)):
            sheet.paste(Image.fromarray(values.numpy()), (x * side, y * side))
    return sheet
