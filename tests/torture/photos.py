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


def make_runs() -> None:
    """Prepare, tune and train as a program of somebody's own does, without a report."""
    from normlab.data.dataset import load_data
    from normlab.records.plan import parse_plan
    from normlab.study.study import Study

    rates = {"scope": "block", "points": 2, "rungs": 1, "learning_rate": (0.01, 0.1)}
    plan = parse_plan(
        {
            "name": "program",
            "blocks": 1,
            "data": {"source": str(Path("photos").resolve()), "image_size": 8},
            "factors": {"norm": ["bn", "gn"], "batch_size": [4]},
            "training": {"network": {"name": "resnet8"}, "epochs": 3, "augmentation": "light"},
            "tuning": rates,
        }
    )
    dataset = load_data("photos", 8)
    for _ in Study.create("S", plan, dataset).run(dataset):
        pass


def write_study(folder: Path) -> Path:
    """photos/ and the finished study S/ of them in a folder, with a cache/ beside; no report."""
    write_photos(folder / "photos")
    environment = {"NORMLAB_CACHE": str(folder / "cache")}
    ended = run((), folder, within=1200, environment=environment, entry=make_runs)
    if ended.code != 0:
        raise RuntimeError(f"the study: exit {ended.code}\n{ended.err}")
    return folder / "S"
