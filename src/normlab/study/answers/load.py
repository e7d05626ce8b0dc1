"""A trained network by the folder that it lies in."""

from __future__ import annotations

from pathlib import Path

import torch

from normlab.errors import UsageError
from normlab.study.answers.trained_network import TrainedNetwork
from normlab.study.study import Study


def load(folder: str | Path, device: torch.device | str = "cpu") -> TrainedNetwork:
    """A trained network with its own preprocessing.

    Args:
        folder: an export (`normlab export --to folder`), a run, or a study, of which it is the
            network that is recommended.
        device: where it is to be.

    Raises:
        UsageError: the folder holds no network.
        StorageError: the weights are damaged.

    >>> normlab.load("bird-network").classify("one.jpg")               # doctest: +SKIP
    {'sparrow': 0.83, 'finch': 0.09, …}
    """
    folder = Path(folder)
    if (folder / "study.toml").exists():
        return Study.open(folder).network(device=device)
    if not any((folder / name).exists() for name in ("model.safetensors", "weights.safetensors")):
        raise UsageError(
            f"{folder} holds no network; give an export, a run with weights, or a study"
        )
    return TrainedNetwork(folder, device)
