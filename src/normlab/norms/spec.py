"""Norms by name: `bn:momentum=0.1,eps=1e-5`, `gn:groups=8`, `ln:axes=c`, `gn+ws`.

`+ws` behind a norm standardizes the filters of the network's convolutions too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from normlab.errors import UnknownNameError, UsageError
from normlab.norms.layers.weight_standardization import WeightStandardizedConv2d
from normlab.norms.registry import NormInfo, Option, all_norms, find_norm

WEIGHT_STANDARDIZATION = "+ws"


def _keep(_: int, **__: Option) -> nn.Module:
    raise UsageError(
        "keep leaves the norms that a network of another library has (--model timm/NAME); this "
        "network has none without one: choose bn"
    )


KEEP = NormInfo(
    code="keep",
    name="the network's own norms",
    paper="–",
    normalizes_over="what they do (frozen=statistics: by running statistics; frozen=all: neither "
    "scale nor shift is trained, either)",
    options={"frozen": ""},
    parameters_per_channel=0,
    make=_keep,
)
"""No norm but the absence of a conversion: an arm of studies of other libraries' networks."""


@dataclass(frozen=True)
class NormSpec:
    """A norm and its options; str() gives the canonical text, with non-default options only."""

    info: NormInfo
    options: Mapping[str, Option]
    weight_standardization: bool = False

    def __str__(self) -> str:
        """The shortest text that parses to this spec."""
        changed = {k: v for k, v in self.options.items() if v != self.info.options[k]}
        text = ",".join(f"{key}={_format(value)}" for key, value in sorted(changed.items()))
        text = f"{self.info.code}:{text}" if text else self.info.code
        return text + WEIGHT_STANDARDIZATION if self.weight_standardization else text

    def make(self, channels: int, *, last: bool = False) -> nn.Module:
        """A layer for so many channels; `last` for the one that ends a residual branch."""
        make = self.info.make_last if last and self.info.make_last else self.info.make
        layer: Any = make(channels, **self.options)
        if not isinstance(layer, nn.Module):
            raise UsageError(
                f"the norm {self.info.code!r} makes a {type(layer).__name__} for {channels} "
                "channels where a torch.nn.Module belongs; correct its make"
            )
        vars(layer)["norm_spec"] = str(self)  # so that a network can be asked where its norms are
        return layer

    @property
    def convolution(self) -> type[nn.Conv2d]:
        """The class of the convolutions before it."""
        return WeightStandardizedConv2d if self.weight_standardization else nn.Conv2d


def parse_norm(text: str) -> NormSpec:
    """Read a spec string.

    Raises:
        UnknownNameError: no such norm or option; the nearest name is suggested.
        UsageError: a value of the wrong type.

    >>> str(parse_norm("gn:groups=4"))
    'gn:groups=4'
    >>> str(parse_norm("bn:momentum=0.1"))
    'bn'
    """
    text = text.strip()
    standardized = text.endswith(WEIGHT_STANDARDIZATION)
    code, _, rest = text.removesuffix(WEIGHT_STANDARDIZATION).strip().partition(":")
    info = KEEP if code == KEEP.code else find_norm(code)
    options = dict(info.options)
    given: set[str] = set()
    for part in filter(None, rest.split(",")):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if key not in options:
            raise UnknownNameError(f"option of {code}", key, info.options or ["(none)"])
        if not equals:
            raise UsageError(f"option {key!r} of {code} has no value; write {key}={options[key]}")
        if key in given:
            raise UsageError(f"option {key!r} of {code} is given twice; keep one")
        given.add(key)
        if key in info.nearest and value.removesuffix("~").isdecimal() and value.endswith("~"):
            options[key] = value
            continue
        options[key] = _convert(code, key, value, info.options[key])
    return NormSpec(info, options, standardized)


def make_norm(spec: str, channels: int) -> nn.Module:
    """A normalization layer by name, for (N, channels, H, W) tensors.

    Args:
        spec: the norm's code, with options behind a colon: "bn", "gn:groups=8", "bn:momentum=0.01".
        channels: C of its input.

    Returns:
        The layer, called as layer(x, residual=None, activation="none").

    Raises:
        UsageError: the name, an option or the number of channels cannot be used.

    >>> make_norm("gn:groups=8", channels=64)
    GroupNorm2d(8, 64, eps=1e-05, affine=True)
    """
    return parse_norm(spec).make(channels)


def _convert(code: str, key: str, value: str, default: Option) -> Option:
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[value.lower()]
        if isinstance(default, str):
            return value
        return type(default)(value)
    except (ValueError, KeyError):
        kind = {bool: "true or false", int: "an integer", float: "a number"}[type(default)]
        raise UsageError(f"option {key} of {code} takes {kind}, got {value!r}") from None


def _format(value: Option) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def norm_names() -> list[str]:
    """The codes of all norms, in the order of the table."""
    return list(all_norms())


def describe(info: NormInfo) -> dict[str, Any]:
    """The row of a norm as plain data."""
    options = ", ".join(  # what stands at nothing is not set
        f"{key}={'…' if value in (0, '') and value is not False else _format(value)}"
        for key, value in info.options.items()
    )
    return {
        "code": info.code,
        "name": info.name,
        "normalizes over": info.normalizes_over,
        "options": options or "–",
        "parameters per channel": info.parameters_per_channel,
        "paper": info.paper,
    }
