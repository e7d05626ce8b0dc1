"""The normalizations of other libraries: what each class computes, and of which tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from normlab.norms.functional.layout import Layout


@dataclass(frozen=True)
class KnownClass:
    """What a class of another library computes."""

    kind: str
    """As in `NormView.kind`, with "group" for any number of groups."""
    layout: Layout = "nchw"
    further: Mapping[str, str] = field(default_factory=dict)
    """Parameters that this kind alone has: the name here and the name there."""
    own_activation: type[nn.Module] | None = None
    """The activation that is part of it, as another norm in its place must be followed by."""


_BATCH, _GROUP = KnownClass("batch"), KnownClass("group")
_PIXEL, _TOKEN = KnownClass("pixel"), KnownClass("pixel", "channels last")
_RMS, _RMS_TOKEN = KnownClass("rms pixel"), KnownClass("rms pixel", "channels last")

_BY_NAME: dict[str, KnownClass] = {
    "FrozenBatchNorm2d": _BATCH,
    "FrozenBatchNormAct2d": _BATCH,
    "BatchNormAct2d": _BATCH,
    "SyncBatchNormAct": _BATCH,
    "GroupNormAct": _GROUP,
    "GroupNorm1": KnownClass("group", "channels first"),
    "GroupNorm1Act": _GROUP,
    "LayerNorm2d": _PIXEL,
    "LayerNormAct2d": _PIXEL,
    "LayerNorm2dFp32": _PIXEL,
    "LayerNormAct2dFp32": _PIXEL,
    "FilterResponseNormTlu2d": KnownClass("frn", "nchw", {"threshold": "tau"}, nn.ReLU),
    "EvoNorm2dS0": KnownClass("evonorm-s0", "nchw", {"slope": "v"}, nn.SiLU),
    "ConvNextLayerNorm": _TOKEN,
    "ConvNextV2LayerNorm": _TOKEN,
}
"""Names that mean one thing wherever they are used."""
_OF_TIMM: dict[str, KnownClass] = {
    "LayerNorm": _TOKEN,
    "LayerNormFp32": _TOKEN,
    "LayerNormAct": _TOKEN,
    "LayerNormActFp32": _TOKEN,
    "GroupNorm": KnownClass("group", "channels first"),
    "RmsNorm": _RMS_TOKEN,
    "RmsNormFp32": _RMS_TOKEN,
    "RmsNormAct": _RMS_TOKEN,
    "RmsNormActFp32": _RMS_TOKEN,
    "RmsNorm2d": _RMS,
    "RmsNorm2dFp32": _RMS,
    "RmsNormAct2d": _RMS,
    "RmsNormAct2dFp32": _RMS,
    "GlobalResponseNorm": KnownClass("grn"),
}
"""Names that other people use for other things."""
_BY_CLASS: dict[type[nn.Module], KnownClass] = {
    nn.BatchNorm1d: KnownClass("batch", "channels first"),
    nn.BatchNorm2d: _BATCH,
    nn.BatchNorm3d: KnownClass("batch", "channels first"),
    nn.SyncBatchNorm: KnownClass("batch", "channels first"),
    nn.InstanceNorm1d: KnownClass("instance", "channels first"),
    nn.InstanceNorm2d: KnownClass("instance"),
    nn.InstanceNorm3d: KnownClass("instance", "channels first"),
    nn.GroupNorm: KnownClass("group", "channels first"),
    nn.LayerNorm: _TOKEN,
    nn.RMSNorm: _RMS_TOKEN,
}
TORCH_CLASSES = tuple(_BY_CLASS)
"""The framework's own."""


def known_class(module: nn.Module) -> KnownClass | None:
    """What a layer of another library computes; None where that is not known.

    Args:
        module: any layer that is not normlab's.

    Returns:
        The row of its class, or of the base whose `forward` it has.
    """
    if isinstance(module, torch.jit.ScriptModule):
        return None
    found = _by_name(type(module))
    for known, row in _BY_CLASS.items():
        if found is None and isinstance(module, known) and type(module).forward is known.forward:
            found = row
    for base in type(module).__mro__[1:]:
        same = type(module).forward is getattr(base, "forward", None)
        found = found or (_by_name(base) if same else None)
    return None if found is None else _of_instance(module, found)


def _by_name(known: type) -> KnownClass | None:
    of_timm = known.__module__.partition(".")[0] == "timm"
    return _BY_NAME.get(known.__name__) or (_OF_TIMM.get(known.__name__) if of_timm else None)


def _of_instance(module: nn.Module, found: KnownClass) -> KnownClass | None:
    """What the arguments of the one layer change."""
    if getattr(module, "data_format", "channels_last") == "channels_first":
        return replace(found, layout="nchw")
    if found.kind == "grn":
        last = getattr(module, "channel_dim", 1) == -1
        return replace(found, layout="channels last") if last else found
    missing = [name for name in found.further.values() if getattr(module, name, None) is None]
    return None if missing else found
