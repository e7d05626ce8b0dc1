"""The state after a finished epoch or after a batch of the next, and the weights of a finished run.

A checkpoint is one file, written beside and renamed: the state is there whole or not at all. Its
first line is the SHA-256 of the rest, which is a safetensors file; no code is unpickled. It knows
its run, and the rows that were there when it was made.
"""

from __future__ import annotations

import json
import struct
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from normlab.canonical import canonical_json
from normlab.errors import StorageError, UsageError
from normlab.inputs import check_input, reading
from normlab.records.files import TRAIN_AGAIN, seal_checkpoint, unseal_checkpoint
from normlab.records.run import RunSpec
from normlab.records.store import Files, Guard, RunFolder, atomic_write, no_guard
from normlab.train.metrics import EpochSoFar

Weights = dict[str, Tensor]
STATE = "state.ckpt"
FIRST_STATE = "state.pt"
"""The checkpoint of the first versions, a pickle of tensors without a checksum; still continued."""
_CONTAINERS = {"list": list, "tuple": tuple, "dict": dict, "counter": Counter}


@dataclass(frozen=True)
class Resumed:
    """What a checkpoint gave back, beside the state that was loaded into the objects."""

    epoch: int
    best_weights: Weights | None
    rows: Files = field(default_factory=dict)
    """SHA-256 of the run's rows up to that epoch, by file; empty where it was not noted."""
    averaged: dict[str, Any] | None = None
    """The state of the averaged weights; see normlab.train.averaging."""
    so_far: EpochSoFar = field(default_factory=EpochSoFar)
    """What was trained of the epoch after it."""


def save_checkpoint(
    folder: Path,
    epoch: int,
    network: nn.Module,
    optimizer: Optimizer,
    schedule: LRScheduler,
    best_weights: Weights | None,
    guard: Guard = no_guard,
    *,
    run: str = "",
    rows: Files | None = None,
    averaged: dict[str, Any] | None = None,
    so_far: EpochSoFar | None = None,
) -> None:
    """Store the state after `epoch`, and after the batches `so_far` of the next one.

    The state before is replaced in the same moment.

    `guard` raises where this process must not write; see normlab.records.store.atomic_write. `run`
    is the run's id, `rows` the checksums of its rows, `averaged` the state of averaged weights.
    """
    weights = network.state_dict()
    state = {
        "run": run,
        "epoch": epoch,
        "rows": dict(rows or {}),
        "network": weights,
        "versions": getattr(weights, "_metadata", None),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "best_weights": best_weights,
    }
    if averaged is not None:
        state["averaged"] = averaged
    if so_far is not None and so_far.steps:
        state["so_far"] = {
            "steps": so_far.steps,
            "seconds": so_far.seconds,
            "figures": so_far.figures(),
            "gradients": so_far.gradients,
        }
    tensors: Weights = {}
    tree = json.dumps(_as_plain_data(state, tensors))
    content = safetensors.torch.save(_unshared(tensors), {"normlab": tree})
    atomic_write(folder / STATE, seal_checkpoint(content), guard)
    (folder / FIRST_STATE).unlink(missing_ok=True)


def load_checkpoint(
    folder: Path,
    network: nn.Module,
    optimizer: Optimizer,
    schedule: LRScheduler,
    *,
    run: str = "",
) -> Resumed:
    """Put the stored state back; epoch 0 where there is none.

    Raises:
        StorageError: the file is damaged, was changed, or belongs to another run or network.
    """
    device = next(network.parameters()).device
    try:
        state = _read_state(folder, device)
        if state is None:
            return Resumed(epoch=0, best_weights=None)
        if run and state.get("run", run) != run:
            raise ValueError(f"it is that of the run {state['run']}")
        weights = OrderedDict(state["network"])
        if state.get("versions") is not None:  # of the modules; torch keeps them so
            setattr(weights, "_metadata", state["versions"])  # noqa: B010
        network.load_state_dict(weights)
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        epoch, best, rows = int(state["epoch"]), state["best_weights"], state.get("rows", {})
        return Resumed(epoch, best, rows, state.get("averaged"), _so_far(state))
    except StorageError:
        raise
    except Exception as error:  # whatever torch's readers raise for a file that is not theirs
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise StorageError(
            f"the checkpoint in {folder} cannot be continued ({reason}); delete this folder to "
            "train anew"
        ) from error


def _so_far(state: dict[str, Any]) -> EpochSoFar:
    if "so_far" not in state:
        return EpochSoFar()
    begun = state["so_far"]
    return EpochSoFar(
        steps=int(begun["steps"]),
        seconds=float(begun["seconds"]),
        found=[tuple(begun["figures"])],
        gradients=begun["gradients"],
    )


def _read_state(folder: Path, device: torch.device) -> dict[str, Any] | None:
    path = folder / STATE
    if path.exists():
        content = unseal_checkpoint(check_input(path).read_bytes(), path)
        tensors = safetensors.torch.load(content)
        (length,) = struct.unpack("<Q", content[:8])
        tree = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["normlab"])
        state: dict[str, Any] = _from_plain_data(tree, tensors, device)
        return state
    if (folder / FIRST_STATE).exists():
        first: dict[str, Any] = torch.load(
            folder / FIRST_STATE, map_location=device, weights_only=True
        )
        return first
    return None


def _as_plain_data(value: Any, tensors: Weights) -> Any:
    """The value for JSON; its tensors go into `tensors`, and their numbers in their place.

    The axes of a tensor are stored in the order in which they lie in memory, so that it comes back
    in the same memory format.
    """
    if isinstance(value, Tensor):
        strides = value.stride()
        axes = sorted(range(value.dim()), key=lambda axis: -strides[axis])
        found = value.detach().permute(axes)
        if not found.is_contiguous():  # a view with gaps: any order will do
            axes, found = list(range(value.dim())), value.detach()
        name = str(len(tensors))
        tensors[name] = found.cpu().contiguous()
        return {"tensor": name, "axes": axes, "on_cpu": value.device.type == "cpu"}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    kind = type(value).__name__.lower()
    kind = kind if kind in _CONTAINERS else "dict" if isinstance(value, dict) else "list"
    items = value.items() if isinstance(value, dict) else value
    return {kind: [_as_plain_data(item, tensors) for item in items]}


def _unshared(tensors: Weights) -> Weights:
    """The same values, each in memory of its own, as safetensors asks: tied weights are not."""
    found: Weights = {}
    places: set[int] = set()
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        found[name] = tensor.clone() if place in places else tensor
        places.add(place)
    return found


def _from_plain_data(value: Any, tensors: Weights, device: torch.device) -> Any:
    """The way back; tensors that were not on the CPU go to the device."""
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        back = sorted(range(len(value["axes"])), key=value["axes"].__getitem__)
        found = tensors[value["tensor"]].permute(back)
        return found if value["on_cpu"] else found.to(device)
    ((kind, items),) = value.items()
    content = [_from_plain_data(item, tensors, device) for item in items]
    if kind == "counter":
        return Counter(dict(content))
    return _CONTAINERS[kind](content)


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
        StorageError: it is damaged, was changed, is that of another run, or was not written by
            normlab.
    """
    if not path.exists():
        raise UsageError(f"no weights at {path}; finish the run first with: normlab run STUDY")
    run = RunFolder(path.parent)
    run.check_file(path.name)
    with reading(f"{path} is damaged or not a normlab file", TRAIN_AGAIN, StorageError):
        with safetensors.safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["normlab"])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        spec = RunSpec.model_validate(facts["spec"])
        mean, std = facts["mean"], facts["std"]
    if (path.parent / "spec.json").exists() and run.read_spec().id != spec.id:
        raise StorageError(
            f"{path} is that of the run {spec.id}, not of this folder; put its own back, or delete "
            "the run's folder to train it again"
        )
    return weights, spec, mean, std
