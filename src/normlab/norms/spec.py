"""Norms by name: `bn:momentum=0.1,eps=1e-5`, `gn:groups=8`, `ln:axes=c`, `bin:gate=1.0`.

The registry is data: code, name, paper, what the statistics run over, options with defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from normlab.errors import UnknownNameError, UsageError
from normlab.norms.baselines import NoNorm2d, TorchBatchNorm2d
from normlab.norms.layers import (
    BatchInstanceNorm2d,
    BatchNorm2d,
    ChannelLayerNorm2d,
    GroupNorm2d,
    InstanceNorm2d,
    LayerNorm2d,
)

Option = float | int | str | bool


@dataclass(frozen=True)
class NormInfo:
    """One row of `normlab norms`."""

    code: str
    name: str
    paper: str
    normalizes_over: str
    options: Mapping[str, Option]
    """Every option with its default; the default's type is the option's type."""
    parameters_per_channel: int
    uses_batch_statistics: bool
    make: Callable[..., nn.Module]
    """make(channels, **options) -> layer."""


@dataclass(frozen=True)
class NormSpec:
    """A norm and its options; str() gives the canonical text, with non-default options only."""

    info: NormInfo
    options: Mapping[str, Option]

    def __str__(self) -> str:
        """The shortest text that parses to this spec."""
        changed = {k: v for k, v in self.options.items() if v != self.info.options[k]}
        text = ",".join(f"{key}={_format(value)}" for key, value in sorted(changed.items()))
        return f"{self.info.code}:{text}" if text else self.info.code

    def make(self, channels: int) -> nn.Module:
        """A layer for so many channels."""
        return self.info.make(channels, **self.options)


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
    code, _, rest = text.strip().partition(":")
    if code not in NORMS:
        raise UnknownNameError("norm", code, NORMS)
    info = NORMS[code]
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
        options[key] = _convert(code, key, value, info.options[key])
    return NormSpec(info, options)


def make_norm(spec: str, channels: int) -> nn.Module:
    """A normalization layer by name, for (N, channels, H, W) tensors.

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


def _layer_norm(channels: int, *, axes: str, eps: float) -> nn.Module:
    if axes == "chw":
        return LayerNorm2d(channels, eps)
    if axes == "c":
        return ChannelLayerNorm2d(channels, eps)
    raise UnknownNameError("axes of ln", axes, ["chw", "c"])


_BN_OPTIONS = {"momentum": 0.1, "eps": 1e-5}

NORMS: Mapping[str, NormInfo] = {
    info.code: info
    for info in (
        NormInfo(
            code="bn",
            name="Batch Normalization",
            paper="Ioffe & Szegedy 2015, arXiv:1502.03167",
            normalizes_over="N, H, W per channel; running statistics in evaluation",
            options=_BN_OPTIONS,
            parameters_per_channel=2,
            uses_batch_statistics=True,
            make=BatchNorm2d,
        ),
        NormInfo(
            code="in",
            name="Instance Normalization",
            paper="Ulyanov et al. 2017, arXiv:1607.08022",
            normalizes_over="H, W per sample and channel",
            options={"eps": 1e-5},
            parameters_per_channel=2,
            uses_batch_statistics=False,
            make=lambda channels, eps: InstanceNorm2d(channels, eps, affine=True),
        ),
        NormInfo(
            code="bin",
            name="Batch-Instance Normalization",
            paper="Nam & Kim 2018, arXiv:1805.07925",
            normalizes_over="ρ·batch + (1−ρ)·instance, ρ learned per channel",
            options={**_BN_OPTIONS, "gate": 1.0},
            parameters_per_channel=3,
            uses_batch_statistics=True,
            make=BatchInstanceNorm2d,
        ),
        NormInfo(
            code="ln",
            name="Layer Normalization",
            paper="Ba et al. 2016, arXiv:1607.06450",
            normalizes_over="C, H, W per sample (axes=c: C per pixel)",
            options={"axes": "chw", "eps": 1e-5},
            parameters_per_channel=2,
            uses_batch_statistics=False,
            make=_layer_norm,
        ),
        NormInfo(
            code="gn",
            name="Group Normalization",
            paper="Wu & He 2018, arXiv:1803.08494",
            normalizes_over="H, W and the channels of a group, per sample",
            options={"groups": 8, "eps": 1e-5},
            parameters_per_channel=2,
            uses_batch_statistics=False,
            make=lambda channels, groups, eps: GroupNorm2d(groups, channels, eps),
        ),
        NormInfo(
            code="none",
            name="no normalization",
            paper="baseline",
            normalizes_over="–",
            options={},
            parameters_per_channel=0,
            uses_batch_statistics=False,
            make=lambda channels: NoNorm2d(),
        ),
        NormInfo(
            code="torch-bn",
            name="the framework's Batch Normalization",
            paper="torch.nn.functional.batch_norm; must give the curves of bn",
            normalizes_over="N, H, W per channel; running statistics in evaluation",
            options=_BN_OPTIONS,
            parameters_per_channel=2,
            uses_batch_statistics=True,
            make=TorchBatchNorm2d,
        ),
    )
}


def norm_names() -> list[str]:
    """The codes of all norms, in the order of the table."""
    return list(NORMS)


def describe(info: NormInfo) -> dict[str, Any]:
    """The row of a norm as plain data."""
    options = ", ".join(f"{key}={_format(value)}" for key, value in info.options.items())
    return {
        "code": info.code,
        "name": info.name,
        "normalizes over": info.normalizes_over,
        "options": options or "–",
        "parameters per channel": info.parameters_per_channel,
        "paper": info.paper,
    }
