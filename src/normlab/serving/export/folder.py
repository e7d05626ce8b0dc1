"""A folder in the manner of the Hugging Face Hub: config, weights, program, model card.

    config.json  preprocessor_config.json  model.safetensors  model.pt2  README.md

`normlab.load("folder")` makes the network of normlab out of it; model.pt2 needs torch alone.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from normlab.serving.export.check import Answers
from normlab.serving.export.forms import write_program
from normlab.serving.export.program import Traced
from normlab.serving.predictor import Predictor

WEIGHTS = "model.safetensors"
RESAMPLE = 3
"""Bicubic, by Pillow's number."""


def write_folder(
    traced: Traced, about: Mapping[str, Any], run: Path, card: str, folder: Path
) -> list[Answers]:
    """Write the folder's files.

    Returns:
        What model.safetensors and model.pt2 say of pictures, read back.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run / "weights.safetensors", folder / WEIGHTS)
    predictor = Predictor.load_file(folder / WEIGHTS)
    names = list(about["classes"])
    config = {
        "model_type": "normlab",
        "architectures": [about["network"]],
        "num_labels": len(names),
        "id2label": {str(index): name for index, name in enumerate(names)},
        "label2id": {name: index for index, name in enumerate(names)},
        "image_size": about["image_size"],
        "normlab": {**about, "spec": predictor.spec.model_dump(mode="json")},
    }
    size = about["image_size"]
    preprocessing = {
        "image_processor_type": "normlab",
        "do_resize": True,
        "size": {"height": size, "width": size},
        "resize_mode": about["resize"],
        "resample": RESAMPLE,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": about["mean"],
        "image_std": about["std"],
    }
    _write_json(folder / "config.json", config)
    _write_json(folder / "preprocessor_config.json", preprocessing)
    (folder / "README.md").write_text(card, encoding="utf-8")

    def answers(pictures: np.ndarray) -> np.ndarray:
        return np.stack(list(predictor.probabilities(iter(pictures))))

    return [answers, write_program(traced, about, folder / "model.pt2")]


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
