"""A source of networks: builds one by name, and knows what its pretrained weights want to see."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from torch import nn

from normlab.errors import MissingExtraError, UsageError


@dataclass(frozen=True)
class InputConfiguration:
    """What the images were like that a network's weights were trained on."""

    mean: tuple[float, ...] | None = None
    """Per channel, of pixels in [0, 1]."""
    std: tuple[float, ...] | None = None
    size: int | None = None
    """Side in pixels."""
    fixed_size: bool = False
    """Whether the network takes no other."""


@dataclass(frozen=True)
class Source:
    """Where networks come from, under the part of their name before the slash."""

    prefix: str
    summary: str
    build: Callable[[str, int, bool], nn.Module]
    """build(name, num_classes, pretrained) with weights out of torch's global generator; with
    pretrained ones, which may be downloaded, everything but the head is theirs."""
    input_of: Callable[[str], InputConfiguration]
    version: Callable[[], str]
    """The library and its version, as a run's record holds it."""
    names: Callable[[], Iterable[str]]


def import_library(name: str, extra: str) -> ModuleType:
    """A library that an extra brings.

    Args:
        name: of the module.
        extra: of normlab.

    Raises:
        MissingExtraError: it is not installed.
        UsageError: it is, and was made for another torch.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] != name.partition(".")[0]:
            raise UsageError(f"{name} cannot be imported: {error}; install it again") from None
        raise MissingExtraError(name, extra) from None
    except (RuntimeError, ImportError, OSError) as error:
        import torch

        first = " ".join(str(error).split())
        raise UsageError(
            f"{name} cannot be imported ({first}): the torchvision that is installed was built for "
            f"another torch than {torch.__version__}; install both from one place, for a CPU: "
            "pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu"
        ) from None


def built(prefix: str, name: str, make: Callable[[], Any]) -> nn.Module:
    """What `make` makes, where a failure becomes one sentence.

    Raises:
        UsageError: the library could not make it, or made no module.
    """
    try:
        network = make()
    except (UsageError, MissingExtraError):
        raise
    except Exception as error:
        line = " ".join(str(error).split())[:300]
        raise UsageError(
            f"{prefix}/{name} cannot be made ({type(error).__name__}: {line}); choose another "
            "network, or weights that are on this machine with --weights FILE"
        ) from error
    if not isinstance(network, nn.Module):
        raise UsageError(f"{prefix}/{name} made a {type(network).__name__}, not a torch.nn.Module")
    return network
