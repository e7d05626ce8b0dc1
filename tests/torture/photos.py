"""Small photographs and small studies to be hurt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from .children import run

CLASSES = ("bright", "dark", "striped")
TINY = (
    *("--norms", "bn,gn", "--blocks", "1", "--epochs", "3", "--image-size", "8"),
    *("--model", "resnet8", "--batch-sizes", "4", "--no-probe", "--no-live", "--yes"),
)
"""A comparison of a second."""


def write_photos(folder: Path, classes: Sequence[str] = CLASSES, per_class: int = 8) -> Path:
    """<folder>/<class>/<number>.png of 8×8, all different."""
    random = np.random.default_rng(0)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for index in range(per_class):
            pixels = random.integers(0, 90, (8, 8, 3)) + 80 * (number % 3)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{index:02d}.png")
    return folder


def write_study(folder: Path, *options: str) -> Path:
    """photos/ and the finished study S/ of them in a folder, with a cache/ beside."""
    write_photos(folder / "photos")
    command = ["compare", "photos", *TINY, "--out", "S", *options]
    ended = run(command, folder, within=600, environment={"NORMLAB_CACHE": str(folder / "cache")})
    if ended.code != 0:
        raise RuntimeError(f"normlab {' '.join(command)}: {ended.code}\n{ended.err}")
    return folder / "S"
