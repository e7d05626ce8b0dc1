"""What a module of any library normalizes: kind, channels, weights, statistics, activation.

Other libraries are not imported; their classes are known by name (known_classes.py), also of a base
class:

    torch          BatchNorm1d, 2d, 3d, SyncBatchNorm, InstanceNorm1d, 2d, 3d, GroupNorm,
                   LayerNorm and RMSNorm over the last axis
    torchvision    FrozenBatchNorm2d, LayerNorm2d
    timm           BatchNormAct2d and its like, GroupNormAct, GroupNorm1, LayerNorm, LayerNorm2d,
                   RmsNorm, RmsNorm2d, … with their activations, FilterResponseNormTlu2d,
                   EvoNorm2dS0, GlobalResponseNorm
    transformers   ConvNextLayerNorm, ConvNextV2LayerNorm
    normlab        every Normalization

A subclass whose `forward` is its own and whose name is not in the list may compute anything, so it
is not recognized: `why_not` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from normlab.norms.base import Normalization, RunningNormalization
from normlab.norms.functional.layout import Layout
from normlab.norms.layers.activation_norms import EvoNormS0
from normlab.norms.layers.baselines import TorchBatchNorm2d
from normlab.norms.layers.batch import BatchNorm2d
from normlab.norms.layers.batch_instance import BatchInstanceNorm2d
from normlab.norms.layers.batch_variants import BatchRenorm2d, GhostBatchNorm2d
from normlab.norms.layers.group import GroupNorm2d
from normlab.norms.layers.instance import InstanceNorm2d
from normlab.norms.layers.layer import ChannelLayerNorm2d, LayerNorm2d
from normlab.norms.layers.rms import FilterResponseNorm2d, GlobalResponseNorm2d, RMSNorm2d
from normlab.norms.surgery.known_classes import TORCH_CLASSES, KnownClass, known_class

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
    FilterResponseNorm2d: "frn",
    EvoNormS0: "evonorm-s0",
    GlobalResponseNorm2d: "grn",
}


@dataclass(frozen=True)
class NormView:
    """A normalization of any library, seen as normlab sees its own."""

    kind: str
    """What statistics it takes: "batch", "instance", "8 groups", "layer", "pixel", "rms", "rms
    pixel", "frn", "8 groups of evonorm-s0", "grn", a class name."""
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
    layout: Layout = "nchw"
    """Which tensors it takes."""
    further: Mapping[str, Tensor] = field(default_factory=dict)
    """Parameters that its kind alone has, by the name that they have here."""
    own_activation: type[nn.Module] | None = None
    """What another norm in its place must be followed by, where it has its own activation."""

    @property
    def tracks(self) -> bool:
        """Whether there are running statistics, which evaluation normalizes by."""
        return self.running_mean is not None and self.running_var is not None


def view(module: nn.Module) -> NormView | None:
    """The module as a normalization; None if it is not known as one.

    Args:
        module: a layer of any library.

    Returns:
        Its kind, channels, settings, parameters and statistics, or None.

    >>> view(nn.GroupNorm(8, 64)).kind, view(nn.ReLU())
    ('8 groups', None)
    """
    known = _known(module)
    if known is None or parametrize.is_parametrized(module):
        return None
    channels = _channels(module)
    if channels is None:
        return None
    frozen = _named(module, "FrozenBatchNorm2d") or _named(module, "FrozenBatchNormAct2d")
    drop, act = getattr(module, "drop", None), getattr(module, "act", None)
    after = None
    if isinstance(act, nn.Module):
        after = (drop if isinstance(drop, nn.Module) else nn.Identity(), act)
    eps = getattr(module, "eps", 0.0)  # torchvision's first FrozenBatchNorm2d had none
    found = {ours: _tensor(module, theirs) for ours, theirs in known.further.items()}
    return NormView(
        kind=_kind_with_groups(module, known.kind, channels),
        channels=channels,
        eps=torch.finfo(torch.float32).eps if eps is None else float(eps),  # torch's RMSNorm
        momentum=getattr(module, "momentum", 0.1),
        weight=_tensor(module, "weight"),
        bias=_tensor(module, "bias"),
        running_mean=_tensor(module, "running_mean"),
        running_var=_tensor(module, "running_var"),
        num_batches_tracked=_tensor(module, "num_batches_tracked"),
        always_running=frozen,
        after=after,
        layout=known.layout,
        further={name: value for name, value in found.items() if value is not None},
        own_activation=known.own_activation,
    )


def layout_of(module: nn.Module) -> Layout:
    """Which tensors a norm takes; of one that is not known (N, C, H, W)."""
    seen = view(module)
    return "nchw" if seen is None else seen.layout


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
    derived = isinstance(module, TORCH_CLASSES)
    called_norm = "norm" in name.lower() and not list(module.children())
    if not (derived or called_norm) or view(module) is not None:
        return None
    if parametrize.is_parametrized(module):
        return "its parameters are computed by a parametrization; remove that first"
    if _named(module, "NoNorm2d"):
        return "it has no channels to go by; build the network with the norm instead"
    if isinstance(module, nn.modules.batchnorm._LazyNormBase):
        return "it does not know its channels yet; call the model once first"
    shape = getattr(module, "normalized_shape", None)
    if isinstance(shape, (tuple, list)) and len(shape) > 1:
        return f"{name} is made for the size {tuple(shape)} and has a scale for each of its values"
    if derived:
        return f"{name} has a forward of its own, which may do more than normalize"
    return f"{name} is not a normalization that normlab knows"


def is_running(module: nn.Module) -> bool:
    """Whether the module keeps running statistics and updates them in training."""
    if isinstance(module, (RunningNormalization, nn.modules.batchnorm._NormBase)):
        return module.running_mean is not None and module.track_running_stats
    return False


def _known(module: nn.Module) -> KnownClass | None:
    if "forward" in vars(module):  # patched on this very instance
        return None
    if isinstance(module, Normalization):
        kind = _KIND_OF_OURS.get(type(module), type(module).__name__)
        if isinstance(module, RMSNorm2d):
            kind = "rms" if module.axes == "chw" else "rms pixel"
        return KnownClass(kind, module.layout)
    return known_class(module)


def _kind_with_groups(module: nn.Module, kind: str, channels: int) -> str:
    if kind not in ("group", "evonorm-s0"):
        return kind
    groups = getattr(module, "num_groups", getattr(module, "groups", None))
    if kind == "evonorm-s0":
        return f"{groups} groups of {kind}"
    if groups == channels:
        return "instance"
    return "layer" if groups == 1 else f"{groups} groups"


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
