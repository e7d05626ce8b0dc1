"""The norms by name: code, name, paper, what the statistics run over, options with defaults.

Adding one here takes two files: its layer in layers/ and its entry in the table below. A norm of
another package is added by `register`.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import nn

from normlab.errors import UnknownNameError, UsageError
from normlab.norms.layers.activation_norms import DynamicTanh2d, EvoNormS0
from normlab.norms.layers.baselines import (
    FixupBias2d,
    FixupScale2d,
    NoNorm2d,
    SkipInit2d,
    TorchBatchNorm2d,
)
from normlab.norms.layers.batch import BatchNorm2d
from normlab.norms.layers.batch_instance import BatchInstanceNorm2d
from normlab.norms.layers.batch_variants import (
    BatchRenorm2d,
    GhostBatchNorm2d,
    HalfInstanceNorm2d,
    SwitchableNorm2d,
)
from normlab.norms.layers.group import GroupNorm2d, groups_for
from normlab.norms.layers.instance import InstanceNorm2d
from normlab.norms.layers.layer import ChannelLayerNorm2d, LayerNorm2d
from normlab.norms.layers.rms import FilterResponseNorm2d, GlobalResponseNorm2d, RMSNorm2d
from normlab.plugins import register_group

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
    make: Callable[..., nn.Module]
    """make(channels, **options) -> layer."""
    make_last: Callable[..., nn.Module] | None = None
    """make_last(channels, **options) -> layer for the end of a residual branch, if another."""
    nearest: tuple[str, ...] = ()
    """Integers that may have "~" behind them: the nearest that fits, layer by layer."""


def _layer_norm(channels: int, *, axes: str, eps: float) -> nn.Module:
    if axes == "chw":
        return LayerNorm2d(channels, eps)
    if axes == "c":
        return ChannelLayerNorm2d(channels, eps)
    raise UnknownNameError("axes of ln", axes, ["chw", "c"])


def _batch_norm(
    channels: int, *, momentum: float, eps: float, virtual_batch: int, frozen: bool
) -> nn.Module:
    if not virtual_batch:
        return BatchNorm2d(channels, eps, momentum, frozen=frozen)
    if frozen:
        raise UsageError("a frozen batch norm has no virtual batch; leave one of the two out")
    return GhostBatchNorm2d(channels, virtual_batch, eps, momentum)


def _group_norm(
    num_channels: int, *, groups: int | str, channels: int | str, eps: float
) -> nn.Module:
    return GroupNorm2d(groups_for(num_channels, groups, channels), num_channels, eps)


def _rms_norm(channels: int, *, axes: str, eps: float) -> nn.Module:
    if axes not in ("chw", "c"):
        raise UnknownNameError("axes of rms", axes, ["chw", "c"])
    return RMSNorm2d(channels, eps, axes)


def _unnormalized(channels: int, *, init: str) -> nn.Module:
    return FixupBias2d() if _known_init(init) == "fixup" else NoNorm2d()


def _unnormalized_last(channels: int, *, init: str) -> nn.Module:
    match _known_init(init):
        case "skipinit":
            return SkipInit2d()
        case "fixup":
            return FixupScale2d()
        case _:
            return NoNorm2d()


def _known_init(init: str) -> str:
    if init not in ("", "skipinit", "fixup"):
        raise UnknownNameError("init of none", init, ["skipinit", "fixup"])
    return init


_BN_OPTIONS = {"momentum": 0.1, "eps": 1e-5}

_norms: dict[str, NormInfo] = {
    info.code: info
    for info in (
        NormInfo(
            code="bn",
            name="Batch Normalization",
            paper="Ioffe & Szegedy 2015, arXiv:1502.03167",
            normalizes_over="N, H, W per channel; running statistics in evaluation "
            "(virtual_batch: parts of the batch, Hoffer et al. 2017, arXiv:1705.08741; frozen: "
            "running statistics always)",
            options={**_BN_OPTIONS, "virtual_batch": 0, "frozen": False},
            parameters_per_channel=2,
            make=_batch_norm,
        ),
        NormInfo(
            code="in",
            name="Instance Normalization",
            paper="Ulyanov et al. 2017, arXiv:1607.08022",
            normalizes_over="H, W per sample and channel",
            options={"eps": 1e-5},
            parameters_per_channel=2,
            make=lambda channels, eps: InstanceNorm2d(channels, eps, affine=True),
        ),
        NormInfo(
            code="bin",
            name="Batch-Instance Normalization",
            paper="Nam & Kim 2018, arXiv:1805.07925",
            normalizes_over="ρ·batch + (1−ρ)·instance, ρ learned per channel",
            options={**_BN_OPTIONS, "gate": 1.0},
            parameters_per_channel=3,
            make=BatchInstanceNorm2d,
        ),
        NormInfo(
            code="ln",
            name="Layer Normalization",
            paper="Ba et al. 2016, arXiv:1607.06450",
            normalizes_over="C, H, W per sample (axes=c: C per pixel)",
            options={"axes": "chw", "eps": 1e-5},
            parameters_per_channel=2,
            make=_layer_norm,
        ),
        NormInfo(
            code="gn",
            name="Group Normalization",
            paper="Wu & He 2018, arXiv:1803.08494",
            normalizes_over="H, W and the channels of a group, per sample",
            options={"groups": 8, "channels": 0, "eps": 1e-5},
            parameters_per_channel=2,
            make=_group_norm,
            nearest=("groups", "channels"),
        ),
        NormInfo(
            code="none",
            name="no normalization",
            paper="baseline; init=skipinit: De & Smith 2020, arXiv:2002.10444; init=fixup: Zhang "
            "et al. 2019, arXiv:1901.09321",
            normalizes_over="–",
            options={"init": ""},
            parameters_per_channel=0,
            make=_unnormalized,
            make_last=_unnormalized_last,
        ),
        NormInfo(
            code="torch-bn",
            name="the framework's Batch Normalization",
            paper="torch.nn.functional.batch_norm; must give the curves of bn",
            normalizes_over="N, H, W per channel; running statistics in evaluation",
            options=_BN_OPTIONS,
            parameters_per_channel=2,
            make=TorchBatchNorm2d,
        ),
        NormInfo(
            code="brn",
            name="Batch Renormalization",
            paper="Ioffe 2017, arXiv:1702.03275",
            normalizes_over="N, H, W per channel, pulled towards the running statistics",
            options={**_BN_OPTIONS, "r_max": 3.0, "d_max": 5.0, "warmup": 1000},
            parameters_per_channel=2,
            make=BatchRenorm2d,
        ),
        NormInfo(
            code="sn",
            name="Switchable Normalization",
            paper="Luo et al. 2019, arXiv:1806.10779",
            normalizes_over="a learned blend of instance, layer and batch statistics",
            options=_BN_OPTIONS,
            parameters_per_channel=2,
            make=SwitchableNorm2d,
        ),
        NormInfo(
            code="ibn",
            name="IBN-a: half instance, half batch",
            paper="Pan et al. 2018, arXiv:1807.09441",
            normalizes_over="H, W in the first half of the channels, N, H, W in the other",
            options=_BN_OPTIONS,
            parameters_per_channel=2,
            make=HalfInstanceNorm2d,
        ),
        NormInfo(
            code="rms",
            name="Root Mean Square Normalization",
            paper="Zhang & Sennrich 2019, arXiv:1910.07467",
            normalizes_over="C, H, W per sample, without the mean (axes=c: C per pixel)",
            options={"axes": "chw", "eps": 1e-5},
            parameters_per_channel=1,
            make=_rms_norm,
        ),
        NormInfo(
            code="frn",
            name="Filter Response Normalization with TLU",
            paper="Singh & Krishnan 2020, arXiv:1911.09737",
            normalizes_over="H, W per sample and channel, without the mean; max(·, τ) is its "
            "activation",
            options={"eps": 1e-6},
            parameters_per_channel=3,
            make=FilterResponseNorm2d,
        ),
        NormInfo(
            code="evonorm-s0",
            name="EvoNorm-S0",
            paper="Liu et al. 2020, arXiv:2004.02967",
            normalizes_over="H, W and the channels of a group, per sample, without the mean; "
            "x·σ(v·x) is its activation",
            options={"groups": 8, "eps": 1e-5},
            parameters_per_channel=3,
            make=lambda channels, groups, eps: EvoNormS0(
                groups_for(channels, groups), channels, eps
            ),
            make_last=lambda channels, groups, eps: EvoNormS0(
                groups_for(channels, groups), channels, eps, gated=False
            ),
            nearest=("groups",),
        ),
        NormInfo(
            code="grn",
            name="Global Response Normalization",
            paper="Woo et al. 2023, arXiv:2301.00808",
            normalizes_over="nothing: scales each plane by its share of the sample's response",
            options={"eps": 1e-6},
            parameters_per_channel=2,
            make=GlobalResponseNorm2d,
        ),
        NormInfo(
            code="dyt",
            name="Dynamic Tanh",
            paper="Zhu et al. 2025, arXiv:2503.10622",
            normalizes_over="nothing: γ·tanh(α·x) + β",
            options={"alpha": 0.5},
            parameters_per_channel=2,
            make=DynamicTanh2d,
        ),
    )
}


NORMS: Mapping[str, NormInfo] = MappingProxyType(_norms)
"""All norms of this process by their code, those that were registered too; to be read only."""
SPELT_ALIKE = 0.75
"""Of difflib's likeness: of five letters two in the wrong order have .8."""
BUILT_IN = frozenset(_norms)
"""The codes of the norms that come with normlab."""


def all_norms() -> Mapping[str, NormInfo]:
    """All norms by code, those of installed packages too.

    Raises:
        PluginError: an installed package gives what is no norm.
    """
    register_group("normlab.norms", NormInfo, _register_once)
    return NORMS


def find_norm(code: str) -> NormInfo:
    """A norm by its code; installed packages are looked through only where normlab has none.

    Raises:
        UnknownNameError: there is none; the nearest one is suggested.
        PluginError: an installed package gives what is no norm.
    """
    if code not in NORMS and code not in all_norms():
        raise UnknownNameError("norm", code, NORMS, meant=_by_name(code))
    return NORMS[code]


def _by_name(text: str) -> str | None:
    """The code of a norm that is called so: "group", "GroupNorm" and "gruop" are gn."""
    word = re.sub(r"[^a-z]|norm(alization)?", "", text.lower())
    if len(word) < 3:
        return None
    begins: dict[str, str] = {}
    for info in NORMS.values():
        name = re.sub(r"[^a-z]|norm(alization)?", "", info.name.lower())
        begins.setdefault(name[: len(word)], info.code)
    near = difflib.get_close_matches(word, begins, n=1, cutoff=SPELT_ALIKE)
    return begins[near[0]] if near else None


def register(info: NormInfo) -> None:
    """Add a norm to the table of this process, under its code.

    From then on its spec strings are known everywhere in the process. The layer is made once, for
    16 channels, to see that it is a norm.

    Args:
        info: the norm; see docs/own-norm.md for one that is written out.

    Raises:
        UsageError: the code is taken or cannot be part of a spec string, or what is made cannot be
            called as norm(x, residual=None, activation="none").

    >>> with temporary_norms():
    ...     register(NormInfo("gn2", "of two groups", "", "", {}, 2, lambda c: GroupNorm2d(2, c)))
    ...     find_norm("gn2").name
    'of two groups'
    """
    if not isinstance(info, NormInfo):
        raise UsageError(f"a norm is registered as a NormInfo, got {info!r}; see docs/own-norm.md")
    if info.code in _norms:
        raise UsageError(f"there is a norm {info.code!r} already; choose another code")
    if not info.code or set(info.code) & set(":,+= "):
        raise UsageError(f"a code has no space and none of : , + =, got {info.code!r}")
    _refuse_what_is_no_norm(info)
    _norms[info.code] = info


@contextmanager
def temporary_norms() -> Iterator[None]:
    """Forget at the end of this context what was registered within."""
    before = dict(_norms)
    try:
        yield
    finally:
        _norms.clear()
        _norms.update(before)


def _refuse_what_is_no_norm(info: NormInfo) -> None:
    """Raise a UsageError unless the layers are modules with the call of a normalization."""
    for make in filter(None, (info.make, info.make_last)):
        try:
            with torch.random.fork_rng(devices=[]):  # a layer may draw its parameters
                layer = make(16, **info.options)
        except Exception as error:
            raise UsageError(
                f"norm {info.code!r} cannot be made for 16 channels with its default options: "
                f"{error}; make is called as make(channels, **options)"
            ) from error
        name = type(layer).__name__
        if not isinstance(layer, nn.Module):
            raise UsageError(
                f"norm {info.code!r} makes a {name}, which is not a torch.nn.Module; make must "
                "return a layer"
            )
        try:
            inspect.signature(layer.forward).bind(None, residual=None, activation="none")
        except TypeError as error:
            raise UsageError(
                f"norm {info.code!r} makes a {name}, which is not called as a norm: {error}; its "
                'forward takes (x, residual=None, activation="none")'
            ) from None


def _register_once(name: str, info: NormInfo) -> None:
    """A package may register its norm when it is imported, and name it as an entry point too."""
    if NORMS.get(info.code) is not info:
        register(info)
