"""Class activation maps of the images of a run, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8

from normlab.data.load import standardise
from normlab.errors import UsageError
from normlab.explain.gradcam import grad_cam
from normlab.explain.layers import choose_layers
from normlab.serving.predictor import Predictor

BATCH = 32
"""Images whose activations are in memory at a time."""


@dataclass(frozen=True, eq=False)
class ImageMaps:
    """Maps (images, S, S) at least 0, and probabilities (images, classes)."""

    maps: Float[np.ndarray, "n s s"]
    probabilities: Float[np.ndarray, "n classes"]


def image_maps(
    predictor: Predictor,
    pixels: UInt8[np.ndarray, "n s s 3"],
    targets: Sequence[int] | None,
    layers: str = "last-stage",
    mode: str = "raw",
) -> ImageMaps:
    """The map of each image for its target class; None for the predicted class.

    Computed in float32, also where the run was trained in bfloat16.

    Raises:
        UsageError: the images have not the run's size.
    """
    size = predictor.spec.data.image_size
    if pixels.shape[1:] != (size, size, 3):
        raise UsageError(
            f"the network takes {size}×{size} RGB pixels, got {pixels.shape[1:]}; prepare the "
            f"images at {size} px"
        )
    names = choose_layers(predictor.view, layers)
    maps, probabilities = [], []
    for first in range(0, len(pixels), BATCH):
        batch = torch.from_numpy(np.array(pixels[first : first + BATCH])).to(predictor.mean.device)
        target = None
        if targets is not None:
            target = torch.tensor(targets[first : first + BATCH], device=batch.device)
        images = standardise(batch, predictor.mean, predictor.std)
        found = grad_cam(predictor.network, images, target, names, mode)
        maps.append(found.maps.cpu().numpy())
        probabilities.append(found.logits.softmax(1).cpu().numpy())
    return ImageMaps(np.concatenate(maps), np.concatenate(probabilities))
