"""Another norm in a network that exists, and fewer layers once it is trained.

It works the same on networks of torchvision or timm; neither is needed here. Run it with:

    python examples/convert_network.py
"""

from __future__ import annotations

import torch
from torch import nn

import normlab


def small_network() -> nn.Sequential:
    """Two convolutions with torch's batch normalization."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


def main() -> None:
    """Convert, fine-tune with statistics at rest, fold."""
    images = torch.randn(8, 3, 32, 32)

    # Batches too small for batch statistics: group normalization, in place, weights kept.
    print(normlab.convert_norms(small_network(), "gn:groups=4"))

    # Or keep the norm, and let its statistics stand still while the weights are tuned.
    network = small_network()
    normlab.freeze(network)
    network.train()(images)

    # In evaluation a batch norm is part of the convolution before it.
    network = small_network().eval()
    before = network(images)
    print(normlab.fold(network))
    print(f"largest difference {(network(images) - before).abs().max().item():.1e}")


if __name__ == "__main__":
    main()
