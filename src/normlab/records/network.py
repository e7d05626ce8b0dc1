"""Which network a run has: a registered name and its options, and the names of the first records.

The residual networks of 6n+2 layers for small images (He et al. 2015, section 4.2) are called
cifar-resnet14 and so on, because resnet50 means another network to most. Before, records called
them resnet14; hashes are still taken over that form, so that every run keeps its id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Option = bool | int | float | str
RESIDUAL_OPTIONS: dict[str, Option] = {"shortcut": "A", "zero_init_last_scale": False}
"""The options of the first networks with their defaults; the first records had no others."""
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
    """
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
    if not isinstance(network, Mapping) or not _is_residual(str(network.get("name", ""))):
        return network
    given = {key: value for key, value in network.items() if key != "options"}
    given |= network.get("options", {})
    given["name"] = str(network["name"]).removeprefix("cifar-")
    return {**RESIDUAL_OPTIONS, **given} if complete else given


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
