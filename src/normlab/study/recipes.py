"""The studies of the course (IIT Delhi, COL775, 2024) as factors and a scale.

1. normalization: the six schemes and the framework's own batch norm
2. optimizer: SGD, RMSprop, Adam × learning rates 1e-3 and 1e-4 × the six schemes
3. batch size: batch and group normalization at 8, 32 and 128

`small` runs on two cores in an hour or so, `course` is what the assignment asks for: 256 px, 30
epochs, batch size 32. Both train every cell in several blocks, which the course did not.
"""

from __future__ import annotations

from typing import Any

from normlab.records.run import known

SCHEMES = ("bn", "in", "bin", "ln", "gn", "none")

RECIPES: dict[str, dict[str, Any]] = {
    "normalization": {"norm": (*SCHEMES, "torch-bn")},
    "optimizer": {
        "norm": SCHEMES,
        "optimizer": ("sgd", "rmsprop", "adam"),
        "learning_rate": (1e-3, 1e-4),
    },
    "batch-size": {"norm": ("bn", "gn"), "batch_size": (8, 32, 128)},
}
"""Factors of each study; what is not named has one level, the scale's."""

SCALES: dict[str, dict[str, Any]] = {
    "small": {
        "image_size": 32,
        "epochs": 8,
        "blocks": 5,
        "learning_rate": (0.02,),
        "batch_size": (32,),
        "schedule": "onecycle",
    },
    "course": {
        "image_size": 256,
        "epochs": 30,
        "blocks": 5,
        "learning_rate": (1e-3,),
        "batch_size": (32,),
        "schedule": "cosine",
    },
}


def recipe(name: str, scale: str) -> dict[str, Any]:
    """The values that a recipe sets, by the names that `normlab compare` has for them.

    Raises:
        UnknownNameError: no such recipe or scale; the nearest name is suggested.
    """
    known("recipe", name, tuple(RECIPES))
    known("scale", scale, tuple(SCALES))
    return {**SCALES[scale], **RECIPES[name]}
