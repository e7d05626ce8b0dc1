"""What makes a network: a function of the number of classes, the norm and a source of weights."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn

from normlab.norms.spec import NormSpec


class NetworkFactory(Protocol):
    """Makes an image classifier; see normlab.testing.NetworkContract for what it promises.

    Further keyword-only arguments with defaults are the network's options, which a plan may set.
    """

    def __call__(
        self, num_classes: int, norm: NormSpec, generator: torch.Generator | None
    ) -> nn.Module:
        """A module from images (N, 3, H, W) to logits (N, num_classes).

        Args:
            num_classes: the width of the output.
            norm: makes the normalization layers, `norm.make(channels)`.
            generator: the source of the initial weights. What a constructor of torch draws by
                itself comes from the global generator, which is seeded alike for the call and put
                back after it, so that a factory may ignore the argument. None where no weights are
                needed.
        """
