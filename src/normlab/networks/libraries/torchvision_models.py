"""Classifiers of torchvision.models."""

from __future__ import annotations

from typing import Any

from torch import nn

from normlab.errors import UnknownNameError
from normlab.networks.libraries.base import InputConfiguration, Source, built, import_library


def _models() -> Any:
    return import_library("torchvision.models", "torchvision")


def _names() -> list[str]:
    models = _models()
    return list(models.list_models(module=models))


def _known(name: str) -> str:
    names = _names()
    if name not in names:
        raise UnknownNameError(
            "network", f"torchvision/{name}", [f"torchvision/{n}" for n in names]
        )
    return name


def _build(name: str, num_classes: int, pretrained: bool) -> nn.Module:
    _known(name)
    if not pretrained:
        options = {"aux_logits": False} if name in ("googlenet", "inception_v3") else {}
        return built(
            "torchvision",
            name,
            lambda: _models().get_model(name, weights=None, num_classes=num_classes, **options),
        )
    return built("torchvision", name, lambda: _with_its_weights(name, num_classes))


def _with_its_weights(name: str, num_classes: int) -> nn.Module:
    """Its weights but for the head, which is that of a network of so many classes."""
    network: nn.Module = _models().get_model(name, weights=None, num_classes=num_classes)
    theirs = _models().get_model(name, weights="DEFAULT").state_dict()
    own = network.state_dict()
    network.load_state_dict(
        {key: theirs[key] if theirs[key].shape == own[key].shape else own[key] for key in own}
    )
    return network


def _input_of(name: str) -> InputConfiguration:
    weights = _models().get_model_weights(_known(name)).DEFAULT
    preset = weights.transforms()
    return InputConfiguration(
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        size=int(preset.crop_size[-1]),
        fixed_size=name.startswith(("vit", "maxvit")),
    )


def _version() -> str:
    return f"torchvision {import_library('torchvision', 'torchvision').__version__}"


TORCHVISION = Source(
    "torchvision", "any classifier of torchvision", _build, _input_of, _version, _names
)
