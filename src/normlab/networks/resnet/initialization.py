"""Initial weights from an explicit generator, the same to the bit for every norm."""

from __future__ import annotations

import math

import torch
from torch import nn

from normlab.networks.resnet.blocks import BasicBlock
from normlab.norms.base import Normalization
from normlab.norms.layers.baselines import FixupScale2d


@torch.no_grad()
def initialize(
    network: nn.Module,
    generator: torch.Generator | None = None,
    *,
    zero_init_last_scale: bool = False,
) -> None:
    """He initialization of a residual network, in the order of its modules.

    Convolutions: normal, standard deviation √(2 / (k²·in_channels)) (He et al. 2015b, equation
    10). Classifier: uniform in ±1/√features. Norms: γ = 1, β = 0, which draws no random number,
    so that two networks that differ in their norm alone start from equal weights.

    `zero_init_last_scale` starts every block as the identity, γ = 0 in its last norm (Goyal et
    al. 2017, section 5.1).

    Fixup (Zhang et al. 2019, section 4; `none:init=fixup`): with L blocks the first convolution of
    each is scaled by 1/√L, the last one and the classifier are 0. The scalar before a block's
    first convolution is left out.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            nn.init.uniform_(module.bias, -bound, bound, generator=generator)
        elif isinstance(module, Normalization):
            module.reset_parameters()
    blocks = [m for m in network.modules() if isinstance(m, BasicBlock)]
    if any(isinstance(block.norm2, FixupScale2d) for block in blocks):
        for block in blocks:
            block.conv1.weight.div_(math.sqrt(len(blocks)))
            block.conv2.weight.zero_()
        for module in network.modules():
            if isinstance(module, nn.Linear):
                module.weight.zero_()
                module.bias.zero_()
    if zero_init_last_scale:
        for module in network.modules():
            if isinstance(module, BasicBlock) and isinstance(module.norm2, Normalization):
                assert module.norm2.weight is not None
                module.norm2.weight.zero_()
