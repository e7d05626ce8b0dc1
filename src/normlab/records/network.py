"""Which network a run has: a registered name and its options, and the names of the first records.

The residual networks of 6n+2 layers for small images (He et al. 2015, section 4.2) are called
cifar-resnet14 and so on, because resnet50 means another network to most. Before, records called
them resnet14; hashes are still taken over that form, so that every run keeps its id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from normlab.errors import UsageError

Option = bool | int | float | str
RESIDUAL_OPTIONS: dict[str, Option] = {"shortcut": "A", "zero_init_last_scale": False}
"""The options of the first networks with their defaults; the first records had no others."""
ABSORB = "absorb_statistics"
"""Whether a norm that takes a pretrained batch norm's place keeps its function: surgery.absorb."""
LIBRARY_OPTIONS: dict[str, Option] = {
    "pretrained": False,
    "weights": "",
    "weights_sha256": "",
    "library": "",
    "input_mean": "",
    "input_std": "",
    "partial": False,
    "freeze_norm": "",
    "freeze_epochs": 0,
    "backbone_lr_ratio": 1.0,
    "layer_decay": 1.0,
    ABSORB: False,
}
"""The options of networks of other libraries; those of _FOUND are filled in when a study starts."""
_FOUND = ("weights_sha256", "library", "input_mean", "input_std", ABSORB)
_LATER = {"layer_decay": 1.0, ABSORB: False}
"""Options that the first records of such networks did not have, with what they did."""
OWN_TRAINING = "own-training"
"""The network of runs that are calls of a training of somebody's own; see normlab.study.own."""
OWN_OPTIONS: dict[str, Option] = {"training": "", "network": "", "code": "", "metric": ""}
"""Its options: the functions by name, the SHA-256 of their source, and the metric."""
OWN_METRIC = "own:"
"""How a metric begins that only such a training knows: a share in [0, 1], larger is better. A plan
has `own:dice`, a page `dice`."""
LARGE_IMAGE_RESNETS = ("resnet18", "resnet34")
"""These two are not of 6n+2 layers, and are the networks that everybody calls so."""

_SMALL = "cifar-resnet"


def present_name(name: str) -> str:
    """The name that a network has today.

    >>> present_name("resnet14"), present_name("resnet18"), present_name("cifar-resnet14")
    ('cifar-resnet14', 'resnet18', 'cifar-resnet14')
    """
    layers = re.fullmatch(r"resnet(\d+)", name)
    if layers is None or name in LARGE_IMAGE_RESNETS or int(layers[1]) % 6 != 2:
        return name
    return f"{_SMALL}{layers[1]}"


def parse_network(text: str) -> dict[str, Any]:
    """Name and options out of `name` or `name:option=value,option=value`.

    >>> parse_network("plain:width=16,pool=max")
    {'name': 'plain', 'options': {'width': 16, 'pool': 'max'}}
    >>> parse_network("timm:resnet18")
    {'name': 'timm/resnet18', 'options': {}}
    """
    for library in ("timm", "torchvision", "hf"):
        if text.startswith(f"{library}:"):
            text = text.replace(":", "/", 1)
    name, _, rest = text.rpartition(":")
    if "=" not in rest:
        return {"name": text.strip(), "options": {}}
    pairs = (part.partition("=") for part in rest.split(","))
    return {
        "name": name.strip(),
        "options": {key.strip(): _value(value.strip()) for key, _, value in pairs},
    }


def network_text(name: str, options: Mapping[str, Option]) -> str:
    """A network as it is printed: of the first networks, only what is not the default.

    >>> network_text("resnet20", {"shortcut": "B"}), network_text("plain", {"width": 16})
    ('resnet20-B', 'plain:width=16')
    """
    if name == OWN_TRAINING:
        return f"{options.get('network', '?')} in {options.get('training', '?')}"
    if is_of_library(name):
        options = {
            key: value
            for key, value in options.items()
            if key not in _FOUND and value != LIBRARY_OPTIONS.get(key)
        }
    if not _is_residual(name):
        shown = options_text(options)
        return f"{name}:{shown}" if shown else name
    text = name if options.get("shortcut", "A") == "A" else f"{name}-{options['shortcut']}"
    return f"{text}-zero-init" if options.get("zero_init_last_scale") else text


def options_text(options: Mapping[str, Option]) -> str:
    """Options as they are written behind a name.

    >>> options_text({"width": 16, "deep": True})
    'deep=true,width=16'
    """
    return ",".join(f"{key}={_text(value)}" for key, value in sorted(options.items()))


def hashed_network(network: Any, *, complete: bool = True) -> Any:
    """The form of a network that hashes are taken over.

    Of the first networks that is the form of the first records; with `complete`, defaults that
    were left out are in it. Any other network is hashed with its name and options as they are.

    >>> hashed_network({"name": "cifar-resnet8", "options": {}})
    {'name': 'resnet8', 'shortcut': 'A', 'zero_init_last_scale': False}
    """
    if isinstance(network, Mapping) and is_of_library(str(network.get("name", ""))):
        options = network.get("options", {})
        options = {  # as they were hashed before there was any
            key: value for key, value in options.items() if value != _LATER.get(key, ...)
        }
        if options.get("weights_sha256"):  # not where the file lies, but what is in it
            options = {key: value for key, value in options.items() if key != "weights"}
        return {**network, "options": options}
    if not isinstance(network, Mapping) or not _is_residual(str(network.get("name", ""))):
        return network
    given = {key: value for key, value in network.items() if key != "options"}
    given |= network.get("options", {})
    given["name"] = str(network["name"]).removeprefix("cifar-")
    return {**RESIDUAL_OPTIONS, **given} if complete else given


def is_of_library(name: str) -> bool:
    """Whether the name is that of a network of another library, or of a function of one's own.

    >>> is_of_library("timm/resnet18"), is_of_library("my.nets:make"), is_of_library("resnet18")
    (True, True, False)
    """
    return "/" in name or ":" in name


def module_of(name: str) -> str | None:
    """The module of a network that a function of one's own makes, which a plugin imports.

    >>> module_of("my.nets:make"), module_of("timm/resnet18")
    ('my.nets', None)
    """
    return name.partition(":")[0] if ":" in name and "/" not in name else None


def input_statistics(options: Mapping[str, Option]) -> tuple[list[float], list[float]] | None:
    """Mean and standard deviation of the images that pretrained weights want to see.

    >>> input_statistics({"input_mean": "0.5,0.5,0.5", "input_std": "0.2,0.2,0.2"})
    ([0.5, 0.5, 0.5], [0.2, 0.2, 0.2])
    """
    mean, std = (str(options.get(key, "")) for key in ("input_mean", "input_std"))
    if not mean or not std:
        return None
    return [float(v) for v in mean.split(",")], [float(v) for v in std.split(",")]


def with_options(network: Any) -> Any:
    """Text, or a table as the first records have it, as a table of name and options."""
    if isinstance(network, str):
        return parse_network(network)
    if isinstance(network, Mapping):
        first = {key: network[key] for key in RESIDUAL_OPTIONS if key in network}
        if first:
            rest = {key: value for key, value in network.items() if key not in first}
            return {**rest, "options": {**first, **rest.get("options", {})}}
    return network


def is_own(metric: str) -> bool:
    """Whether a metric is one that a training of somebody's own has named.

    >>> is_own("own:dice"), is_own("accuracy")
    (True, False)
    """
    return metric.startswith(OWN_METRIC)


def own_metric(name: str) -> str:
    """The metric of a plan for the name that a training gives it.

    Raises:
        UsageError: a name that a table's head or a plan cannot have.

    >>> own_metric("mean IoU")
    'own:mean IoU'
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9 _.@-]{0,39}", name):
        raise UsageError(
            f"a metric's name is up to 40 letters, digits, spaces and _ . @ -, got {name!r}"
        )
    return OWN_METRIC + name


def _is_residual(name: str) -> bool:
    return present_name(name) in LARGE_IMAGE_RESNETS or present_name(name).startswith(_SMALL)


def _value(text: str) -> Option:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _text(value: Option) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
