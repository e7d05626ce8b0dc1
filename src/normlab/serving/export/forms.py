"""The forms of an export, each written and then asked the check pictures as its users will."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from normlab._version import __version__
from normlab.errors import MissingExtraError
from normlab.records.run import RunSpec
from normlab.serving.export.check import Answers
from normlab.serving.export.program import Traced, quiet_exporter
from normlab.serving.predictor import Predictor


def facts(predictor: Predictor, traced: Traced) -> dict[str, Any]:
    """What a user of the export must know: classes in their order, size, statistics, norm."""
    spec: RunSpec = predictor.spec
    return {
        "classes": list(spec.data.classes),
        "image_size": spec.data.image_size,
        "resize": spec.data.resize,
        "multiple_of": traced.multiple,
        "mean": predictor.mean.tolist(),
        "std": predictor.std.tolist(),
        "norm": spec.norm,
        "network": str(spec.network),
        "run": spec.id,
        "normlab": __version__,
    }


def need_onnx() -> None:
    """Raise a MissingExtraError where ONNX's libraries are not installed."""
    for module in ("onnx", "onnxscript", "onnxruntime"):
        if find_spec(module) is None:
            raise MissingExtraError(module, "onnx")


def write_onnx(traced: Traced, about: Mapping[str, Any], path: Path) -> Answers:
    """model.onnx: `pictures` (N, H, W, 3) of 8 bits → `probabilities` (N, classes).

    Returns:
        What onnxruntime says of pictures.
    """
    need_onnx()
    with quiet_exporter():
        made = torch.onnx.export(
            traced.program,
            dynamo=True,
            verbose=False,
            input_names=["pictures"],
            output_names=["probabilities"],
        )
        assert made is not None
        for name, value in about.items():
            text = value if isinstance(value, str) else json.dumps(value)
            made.model.metadata_props[name] = text
        made.save(str(path), external_data=False)
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def answers(pictures: np.ndarray) -> np.ndarray:
        found: np.ndarray = session.run(["probabilities"], {"pictures": pictures})[0]
        return found

    return answers


def write_program(traced: Traced, about: Mapping[str, Any], path: Path) -> Answers:
    """model.pt2, which torch.export.load reads where there is no normlab.

    Returns:
        What the file says of pictures, read back.
    """
    with quiet_exporter():
        torch.export.save(
            traced.program, str(path), extra_files={"normlab.json": json.dumps(about)}
        )
        module = torch.export.load(str(path)).module()

    @torch.no_grad()
    def answers(pictures: np.ndarray) -> np.ndarray:
        found: np.ndarray = module(torch.from_numpy(pictures)).numpy()
        return found

    return answers
