"""The state after a finished epoch, and the weights of a finished run.

A checkpoint is one file, written beside and renamed: the state after an epoch is there whole or
not at all. It is read without unpickling code; weights are safetensors.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from normlab.errors import StorageError, UsageError
from normlab.records.run import RunSpec, canonical_json
from normlab.records.store import Guard, atomic_write, no_guard

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Resumed:
    """What a checkpoint gave back, beside the state that was loaded into the objects."""

    epoch: int
    best_weights: Weights | None


def save_checkpoint(
    folder: Path,
    epoch: int,
    network: nn.Module,
    optimizer: Optimizer,
    schedule: LRScheduler,
    best_weights: Weights | None,
    guard: Guard = no_guard,
) -> None:
    """Store the state after `epoch`; the one before is replaced in the same moment.

    `guard` raises where this process must not write; see normlab.records.store.atomic_write.
    """
    buffer = io.BytesIO()
    state = {
        "epoch": epoch,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "best_weights": best_weights,
    }
    torch.save(state, buffer)
    atomic_write(folder / "state.pt", buffer.getvalue(), guard)


def load_checkpoint(
    folder: Path, network: nn.Module, optimizer: Optimizer, schedule: LRScheduler
) -> Resumed:
    """Put the stored state back; epoch 0 where there is none.

    Raises:
        StorageError: the file is damaged or belongs to another network.
    """
    path = folder / "state.pt"
    if not path.exists():
        return Resumed(epoch=0, best_weights=None)
    device = next(network.parameters()).device
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
    except Exception as error:  # of damaged bytes the unpickler makes any exception there is
        raise StorageError(
            f"the checkpoint {path} cannot be continued ({error}); delete its folder to train anew"
        ) from error
    return Resumed(epoch=state["epoch"], best_weights=state["best_weights"])


def copy_weights(network: nn.Module) -> Weights:
    """The weights as they are now, in memory of their own."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def save_weights(
    path: Path,
    network: nn.Module,
    spec: RunSpec,
    mean: Tensor,
    std: Tensor,
    guard: Guard = no_guard,
) -> None:
    """Store the weights with all that is needed to use them: spec, input mean and std.

    `guard` raises where this process must not write.
    """
    tensors = {name: t.detach().cpu().contiguous() for name, t in network.state_dict().items()}
    facts = {
        "spec": spec.model_dump(mode="json"),
        "mean": mean.flatten().tolist(),
        "std": std.flatten().tolist(),
    }
    # One key: safetensors writes several in any order, and equal runs should give equal files.
    metadata = {"normlab": canonical_json(facts)}
    atomic_write(path, safetensors.torch.save(tensors, metadata), guard)


def load_weights(path: Path) -> tuple[Weights, RunSpec, list[float], list[float]]:
    """Weights, spec, input mean and input standard deviation of a finished run.

    Raises:
        UsageError: there is no such file; never are random weights used in its place.
        StorageError: it is damaged or was not written by normlab.
    """
    if not path.exists():
        raise UsageError(f"no weights at {path}; finish the run first with: normlab run STUDY")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["normlab"])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return weights, RunSpec.model_validate(facts["spec"]), facts["mean"], facts["std"]
    except (safetensors.SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise StorageError(f"{path} is damaged or not a normlab file: {error}") from error
