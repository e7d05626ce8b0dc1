"""Weights out of a file, without running code: safetensors, or a state dict of torch."""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from normlab.errors import UsageError
from normlab.inputs import check_input, reason_of

_WRAPPERS = ("state_dict", "model_state_dict", "model", "state_dict_ema")
"""Under these names training scripts keep the state among other things."""
_PREFIXES = ("module.", "model.", "_orig_mod.", "backbone.")
"""What wrappers put before every name."""


def file_hash(path: Path) -> str:
    """SHA-256 of the file's bytes.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with check_input(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"the weights {path} cannot be read: {error.strerror}") from None


def state_hash(network: nn.Module, without: set[str]) -> str:
    """SHA-256 over the names, types, shapes and values of a network's state, but for some names."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        if name in without:
            continue
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name.

    Args:
        path: a .safetensors file, or what torch.save wrote of a state dict.

    Raises:
        UsageError: it holds code or other objects, is damaged, or has no tensors.
    """
    file_hash(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that other versions of pickle wrote
            content: Any = (
                safetensors.torch.load_file(path)
                if path.suffix == ".safetensors"
                else torch.load(path, map_location="cpu", weights_only=True)
            )
    except pickle.UnpicklingError:
        raise UsageError(
            f"{path} holds objects that only its code could make, and nobody's code is run to read "
            "weights; save the state alone: torch.save(model.state_dict(), FILE)"
        ) from None
    except Exception as error:  # whatever torch's reader makes of other bytes
        raise UsageError(f"{path} is damaged or no file of weights: {reason_of(error)}") from None
    for name in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not content:
        raise UsageError(f"{path} holds a {type(content).__name__} and no state dict of a network")
    found = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not found:
        raise UsageError(f"{path} holds no tensor")
    return found


def load_state(network: nn.Module, state: Mapping[str, Tensor], head: set[str], path: Path) -> str:
    """Put a state into a network, all but its head, which is that of another task.

    Names must fit, once what wrappers put before them is taken off. Where not one fits, tensors
    are taken in their order if every shape agrees.

    Args:
        network: as its library builds it, before any conversion.
        state: by name.
        head: the names of the parameters of its last layer.
        path: where the state comes from, for messages.

    Returns:
        How they were put there: "by name" or "in order".

    Raises:
        UsageError: keys that are missing or have another shape.
    """
    own = {key: value for key, value in network.state_dict().items() if key not in head}
    state = _without_prefix(state, own)
    how = "by name"
    if not own.keys() & state.keys():
        how, state = "in order", _in_order(network.state_dict(), state, head, path)
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    if missing:
        raise UsageError(
            f"the weights {path} do not fit the network: they have no {_some(missing)}; they have "
            f"{_some(list(state))}; choose the network that they are of"
        )
    wrong = [key for key in own if key in state and own[key].shape != state[key].shape]
    if wrong:
        key = wrong[0]
        raise UsageError(
            f"the weights {path} do not fit the network: {_some(wrong)} have other shapes, {key} "
            f"{tuple(state[key].shape)} where the network has {tuple(own[key].shape)}; choose the "
            "network that they are of"
        )
    network.load_state_dict({key: state[key] for key in own if key in state}, strict=False)
    return how


def _without_prefix(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found = dict(state)
    for prefix in _PREFIXES:
        if not own.keys() & found.keys() and all(key.startswith(prefix) for key in found):
            found = {key.removeprefix(prefix): value for key, value in found.items()}
    return found


def _in_order(
    own: Mapping[str, Tensor], state: Mapping[str, Tensor], head: set[str], path: Path
) -> dict[str, Tensor]:
    counts = "num_batches_tracked"
    theirs = [value for key, value in state.items() if not key.endswith(counts)]
    names = [key for key in own if not key.endswith(counts)]
    fits = len(theirs) == len(names) and all(
        name in head or own[name].shape == value.shape
        for name, value in zip(names, theirs, strict=True)
    )
    if not fits:
        raise UsageError(
            f"the weights {path} do not fit the network: their names are others "
            f"({_some(list(state))} where it has {_some(names)}), and {len(theirs)} tensors do not "
            f"fit its {len(names)} in order; choose the network that they are of"
        )
    return dict(zip(names, theirs, strict=True))


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
