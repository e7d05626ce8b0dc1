"""The normalization layers: parameters and buffers around the rules."""

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
from normlab.norms.layers.conditional import ConditionalNorm2d
from normlab.norms.layers.group import GroupNorm2d
from normlab.norms.layers.instance import InstanceNorm2d
from normlab.norms.layers.layer import ChannelLayerNorm2d, LayerNorm2d
from normlab.norms.layers.rms import FilterResponseNorm2d, GlobalResponseNorm2d, RMSNorm2d
from normlab.norms.layers.weight_standardization import WeightStandardizedConv2d

__all__ = [
    "BatchInstanceNorm2d",
    "BatchNorm2d",
    "BatchRenorm2d",
    "ChannelLayerNorm2d",
    "ConditionalNorm2d",
    "DynamicTanh2d",
    "EvoNormS0",
    "FilterResponseNorm2d",
    "FixupBias2d",
    "FixupScale2d",
    "GhostBatchNorm2d",
    "GlobalResponseNorm2d",
    "GroupNorm2d",
    "HalfInstanceNorm2d",
    "InstanceNorm2d",
    "LayerNorm2d",
    "NoNorm2d",
    "RMSNorm2d",
    "SkipInit2d",
    "SwitchableNorm2d",
    "TorchBatchNorm2d",
    "WeightStandardizedConv2d",
]
