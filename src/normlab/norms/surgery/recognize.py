"""What a module of any library normalizes: kind, channels, weights, statistics, activation.

torchvision and timm are not imported; their classes are known by name, also of a base class:

    torch          BatchNorm2d, SyncBatchNorm, InstanceNorm2d, GroupNorm
    torchvision    FrozenBatchNorm2d, LayerNorm2d
    timm           BatchNormAct2d, SyncBatchNormAct, FrozenBatchNormAct2d, GroupNormAct,
                   GroupNorm1, GroupNorm1Act, LayerNorm2d, LayerNormAct2d
    normlab        every Normalization

A subclass whose `forward` is its own and whose name is not in the list may compute anything, so it
is not recognized: `why_not` says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from normlab.norms.base import Normalization, RunningNormalization
from normlab.norms.layers.baselines import TorchBatchNorm2d
from normlab.norms.layers.batch import BatchNorm2d
from normlab.norms.layers.batch_instance import BatchInstanceNorm2d
from normlab.norms.layers.batch_variants import BatchRenorm2d, GhostBatchNorm2d
from normlab.norms.layers.group import GroupNorm2d
from normlab.norms.layers.instance import InstanceNorm2d
from normlab.norms.layers.layer import ChannelLayerNorm2d, LayerNorm2d

_KIND_BY_NAME = {
    "FrozenBatchNorm2d": "batch",
    "FrozenBatchNormAct2d": "batch",
    "BatchNormAct2d": "batch",
    "SyncBatchNormAct": "batch",
    "GroupNormAct": "group",
    "GroupNorm1": "group",
    "GroupNorm1Act": "group",
    "LayerNorm2d": "pixel",
    "LayerNormAct2d": "pixel",
}
_KIND_OF_OURS: dict[type[nn.Module], str] = {
    BatchNorm2d: "batch",
    GhostBatchNorm2d: "batch",
    BatchRenorm2d: "batch",
    TorchBatchNorm2d: "batch",
    BatchInstanceNorm2d: "batch",  # besides the instance's own, which its gate mixes in
    InstanceNorm2d: "instance",
    GroupNorm2d: "group",
    LayerNorm2d: "layer",
    ChannelLayerNorm2d: "pixel",
}
_KIND_BY_CLASS: dict[type[nn.Module], str] = {
    nn.BatchNorm2d: "batch",
    nn.SyncBatchNorm: "batch",
    nn.InstanceNorm2d: "instance",
    nn.GroupNorm: "group",
}


@dataclass(frozen=True)
class NormView:
    """A normalization of any library, seen as normlab sees its own."""

    kind: str
    """What statistics it takes: "batch", "instance", "8 groups", "layer", "pixel", a class name."""
    channels: int
    eps: float
    momentum: float | None
    weight: Tensor | None
    bias: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    always_running: bool
    """Normalizes by the running statistics in training too (FrozenBatchNorm2d)."""
    after: tuple[nn.Module, nn.Module] | None
    """timm's drop and activation, which its norms apply after normalizing."""

    @property
    def tracks(self) -> bool:
        """Whether there are running statistics, which evaluation normalizes by."""
        return self.running_mean is not None and self.running_var is not None


def view(module: nn.Module) -> NormView | None:
    """The module as a normalization of (N, C, H, W) tensors; None if it is not known as one.

    Args:
        module: a layer of any library.

    Returns:
        Its kind, channels, settings, parameters and statistics, or None.

    >>> view(nn.GroupNorm(8, 64)).kind, view(nn.ReLU())
    ('8 groups', None)
    """
    kind = _kind(module)
    if kind is None or parametrize.is_parametrized(module):
        return None
    channels = _channels(module)
    if channels is None:
        return None
    if kind == "group":
        assert isinstance(module.num_groups, int)
        by_groups = {channels: "instance", 1: "layer"}
        kind = by_groups.get(module.num_groups, f"{module.num_groups} groups")
    frozen = _named(module, "FrozenBatchNorm2d") or _named(module, "FrozenBatchNormAct2d")
    drop, act = getattr(module, "drop", None), getattr(module, "act", None)
    after = None
    if isinstance(act, nn.Module):
        after = (drop if isinstance(drop, nn.Module) else nn.Identity(), act)
    return NormView(
        kind=kind,
        channels=channels,
        eps=float(getattr(module, "eps", 0.0)),  # torchvision's first FrozenBatchNorm2d had none
        momentum=getattr(module, "momentum", 0.1),
        weight=_tensor(module, "weight"),
        bias=_tensor(module, "bias"),
        running_mean=_tensor(module, "running_mean"),
        running_var=_tensor(module, "running_var"),
        num_batches_tracked=_tensor(module, "num_batches_tracked"),
        always_running=frozen,
        after=after,
    )


def why_not(module: nn.Module) -> str | None:
    """The reason why something that is called a norm is not one to us; None for other modules."""
    name = type(module).__name__
    if isinstance(module, torch.jit.ScriptModule):
        original = str(getattr(module, "original_name", name))
        return (
            f"{original} is compiled by torch.jit; convert the model before it is compiled"
            if "norm" in original.lower() and not list(module.children())
            else None
        )
    derived = isinstance(module, tuple(_KIND_BY_CLASS))
    called_norm = "norm" in name.lower() and not list(module.children())
    if not (derived or called_norm) or view(module) is not None:
        return None
    if parametrize.is_parametrized(module):
        return "its parameters are computed by a parametrization; remove that first"
    if _named(module, "NoNorm2d"):
        return "it has no channels to go by; build the network with the norm instead"
    if isinstance(module, nn.modules.batchnorm._LazyNormBase):
        return "it does not know its channels yet; call the model once first"
    if derived:
        return f"{name} has a forward of its own, which may do more than normalize"
    return f"{name} is not a normalization of (N, C, H, W) tensors that normlab knows"


def is_running(module: nn.Module) -> bool:
    """Whether the module keeps running statistics and updates them in training."""
    if isinstance(module, (RunningNormalization, nn.modules.batchnorm._NormBase)):
        return module.running_mean is not None and module.track_running_stats
    return False


def _kind(module: nn.Module) -> str | None:
    if "forward" in vars(module):  # patched on this very instance
        return None
    if isinstance(module, Normalization):
        return _KIND_OF_OURS.get(type(module), type(module).__name__)
    for name, kind in _KIND_BY_NAME.items():
        if type(module).__name__ == name:
            return kind
    for known, kind in _KIND_BY_CLASS.items():
        if isinstance(module, known) and type(module).forward is known.forward:
            return kind
    for base in type(module).__mro__[1:]:
        named = _KIND_BY_NAME.get(base.__name__)
        if named is not None and type(module).forward is getattr(base, "forward", None):
            return named
    return None


def _channels(module: nn.Module) -> int | None:
    if isinstance(module, Normalization):
        return module.channels
    for name in ("num_features", "num_channels"):
        value = getattr(module, name, None)
        if isinstance(value, int):
            return value
    shape = getattr(module, "normalized_shape", None)
    if isinstance(shape, (tuple, list)) and len(shape) == 1:
        return int(shape[0])
    weight = _tensor(module, "weight")
    return None if weight is None or weight.dim() != 1 else weight.shape[0]


def _named(module: nn.Module, name: str) -> bool:
    return any(base.__name__ == name for base in type(module).__mro__)


def _tensor(module: nn.Module, name: str) -> Tensor | None:
    value = getattr(module, name, None)
    return value if isinstance(value, Tensor) else None
