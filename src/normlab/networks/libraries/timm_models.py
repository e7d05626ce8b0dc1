"""Image models of timm (Wightman 2019, https://github.com/huggingface/pytorch-image-models)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from normlab.errors import UnknownNameError
from normlab.networks.libraries.base import InputConfiguration, Source, built, import_library


def _timm() -> Any:
    return import_library("timm", "timm")


def _known(name: str) -> str:
    if not _timm().is_model(name):
        raise UnknownNameError("network", f"timm/{name}", _nearest(name, _names()))
    return name


def _nearest(name: str, known: Iterable[str]) -> list[str]:
    """Some of over a thousand names, the nearest first."""
    import difflib

    return [f"timm/{each}" for each in difflib.get_close_matches(name, list(known), 5, 0.3)] or [
        "timm/resnet18"
    ]


def _names() -> list[str]:
    return list(_timm().list_models())


def _build(name: str, num_classes: int, pretrained: bool) -> nn.Module:
    _known(name)
    make = _timm().create_model
    return built("timm", name, lambda: make(name, pretrained=pretrained, num_classes=num_classes))


def _input_of(name: str) -> InputConfiguration:
    _known(name)
    found = _timm().get_pretrained_cfg(name)
    if found is None:
        return InputConfiguration()
    return InputConfiguration(
        mean=tuple(found.mean),
        std=tuple(found.std),
        size=int(found.input_size[-1]),
        fixed_size=bool(found.fixed_input_size),
    )


def _version() -> str:
    return f"timm {_timm().__version__}"


TIMM = Source("timm", "any model of timm", _build, _input_of, _version, _names)
