"""A small block of data made of random numbers that a network can learn, and its run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from normlab.randomness import torch_stream
from normlab.records.run import DataSpec, OptimizerSpec, RunSpec, ScheduleSpec

CLASSES = ("dark", "grey", "bright")
SIZES = {"train": 50, "validation": 13, "test": 21}


class ToyData:
    """Images of 8×8 whose mean brightness gives the class away, under noise."""

    def __init__(self, spec: RunSpec) -> None:
        self.spec = spec
        self.mean, self.std = torch.zeros(3), torch.ones(3)
        self.parts: dict[str, tuple[Tensor, Tensor]] = {}
        for number, (part, count) in enumerate(SIZES.items()):
            generator = torch_stream(spec.seed, 1000 + number, "split")
            labels = torch.randint(len(CLASSES), (count,), generator=generator)
            noise = torch.randn(count, 3, 8, 8, generator=generator)
            self.parts[part] = (noise + labels[:, None, None, None] - 1, labels)

    @property
    def steps_per_epoch(self) -> int:
        return SIZES["train"] // self.spec.batch_size

    def train_batches(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        images, labels = self.parts["train"]
        generator = torch_stream(self.spec.seed, self.spec.block, "order", epoch)
        order = torch.randperm(len(labels), generator=generator)
        size = self.spec.batch_size
        for step in range(first_step, self.steps_per_epoch):
            chosen = order[step * size : (step + 1) * size]
            yield images[chosen], labels[chosen]

    def plain_batches(self, part: str) -> Iterator[tuple[Tensor, Tensor]]:
        images, labels = self.parts[part]
        yield from zip(images.split(8), labels.split(8), strict=True)

    def names(self, part: str) -> np.ndarray:
        return np.array([f"{part}/{i}.png" for i in range(SIZES[part])])

    def labels(self, part: str) -> np.ndarray:
        return self.parts[part][1].numpy()

    def groups(self, part: str) -> np.ndarray:
        return np.arange(SIZES[part])


def toy_spec(**changes: object) -> RunSpec:
    """A short run on the toy data; `changes` replace fields of the spec."""
    fields: dict[str, object] = {
        "arm": "bn",
        "block": 0,
        "data": DataSpec(fingerprint="toy", classes=CLASSES, image_size=8),
        "network": {"name": "resnet8"},
        "norm": "bn",
        "optimizer": OptimizerSpec(learning_rate=0.05, weight_decay=1e-3),
        "schedule": ScheduleSpec(name="onecycle"),
        "batch_size": 8,
        "epochs": 4,
        **changes,
    }
    return RunSpec.model_validate(fields)


@pytest.fixture
def spec() -> RunSpec:
    return toy_spec()


@pytest.fixture
def make_spec():
    return toy_spec


@pytest.fixture
def make_data():
    return ToyData
