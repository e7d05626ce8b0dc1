"""A study of two arms on tiny pictures, trained once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from normlab.data.dataset import load_data
from normlab.records.plan import parse_plan
from normlab.study.study import Study


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("explain")
    generator = np.random.default_rng(0)
    for number, name in enumerate(("<b>right & dark", "dark", "striped")):
        (folder / "pictures" / name).mkdir(parents=True)
        for index in range(20):
            pixels = generator.integers(0, 120, (16, 16, 3)) + (60 if number == 0 else 0)
            pixels[:: 2 if number == 2 else 20] += 120
            path = folder / "pictures" / name / f"{index:02d}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    plan = parse_plan(
        {
            "name": "tiny <script>",
            "blocks": 1,
            "data": {"source": str(folder / "pictures"), "image_size": 16},
            "factors": {"norm": ["bn", "gn"], "learning_rate": [0.02], "batch_size": [4]},
            "training": {"network": {"name": "resnet8"}, "epochs": 2, "augmentation": "none"},
        }
    )
    dataset = load_data(str(folder / "pictures"), 16)
    made = Study.create(folder / "study", plan, dataset)
    for _ in made.run(dataset):
        pass
    return made


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "grey.png"
    Image.fromarray(np.arange(35 * 21).reshape(35, 21).astype(np.uint8)).save(path)
    return path
