"""A folder of tiny pictures, and plans over it that train in a second, as fixtures.

A folder of tests that uses them imports them into its conftest.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from normlab.data.dataset import Dataset, load_data
from normlab.records.plan import StudyPlan, parse_plan

CLASSES = ("bright", "dark", "striped")


def write_pictures(folder: Path, per_class: int = 8, seed: int = 0) -> Path:
    """<folder>/<class>/<number>.png of 8×8; a class is told by its brightness and stripes."""
    generator = np.random.default_rng(seed)
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(per_class):
            pixels = generator.integers(0, 120, (8, 8, 3)) + (120 if number == 0 else 0)
            if number == 2:
                pixels[::2] += 120
            image = Image.fromarray(pixels.astype(np.uint8))
            image.save(folder / name / f"{index:02d}.png")
    return folder


def tiny_plan(source: Path | str = "nowhere", **changes: object) -> StudyPlan:
    """Two arms, one block, one epoch; `changes` replace top-level tables."""
    content: dict[str, object] = {
        "name": "tiny",
        "blocks": 1,
        "data": {"source": str(source), "image_size": 8},
        "factors": {"norm": ["bn", "gn"], "learning_rate": [0.02], "batch_size": [4]},
        "training": {"network": {"name": "resnet8"}, "epochs": 1, "augmentation": "none"},
        **changes,
    }
    return parse_plan(content)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures")


@pytest.fixture
def dataset(pictures: Path, tmp_path: Path) -> Dataset:
    return load_data(str(pictures), 8, cache=tmp_path / "cache")


@pytest.fixture
def make_plan():
    return tiny_plan


@pytest.fixture
def make_pictures():
    return write_pictures
