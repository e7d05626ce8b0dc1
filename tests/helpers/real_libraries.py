"""The real torchvision and timm beside a build of torch that torchvision's wheels do not match.

Beside a CPU build of torch `import torchvision` ends in "operator torchvision::nms does not exist".
With the two missing schemas defined, models and transforms work, and detection operators do not.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

_KEPT: list[torch.library.Library] = []


def make_torchvision_importable() -> None:
    """Define the operators that torchvision wants to know, where it cannot bring them itself."""
    found = importlib.util.find_spec("torchvision")
    if _KEPT or found is None or found.origin is None:
        return
    for library in Path(found.origin).parent.glob("_C*.so"):
        try:
            torch.ops.load_library(library)
        except (OSError, RuntimeError):
            continue
        return  # the wheel matches
    schemas = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        schemas.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(schemas)
