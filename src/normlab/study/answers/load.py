"""A trained network by the folder that it lies in."""

from __future__ import annotations

from pathlib import Path

import torch

from normlab.errors import UsageError
from normlab.stats.data.reading import read_study
from normlab.stats.summary.analysis import analyse_study
from normlab.stats.summary.chosen_run import chosen_run
from normlab.study.answers.trained_network import TrainedNetwork


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
        records = read_study(folder)
        run, _ = chosen_run(records, analyse_study(records))
        return TrainedNetwork(run.folder, device)
    if not any((folder / name).exists() for name in ("model.safetensors", "weights.safetensors")):
        raise UsageError(
            f"{folder} holds no network; give an export, a run with weights, or a study"
        )
    return TrainedNetwork(folder, device)
