"""normlab's layers in a plain PyTorch program: your network, your loop, your optimizer.

Run it with:

    python examples/layers_in_torch.py
"""

from __future__ import annotations

import torch
from torch import nn

import normlab


class Block(nn.Module):
    """Convolution, then norm, shortcut and activation in one call, which reads the map once."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = normlab.make_norm(norm, channels=channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """act(norm(conv(x)) + x), shape (n, channels, h, w) as x."""
        return self.norm(self.convolution(x), residual=x, activation="relu")


def main() -> None:
    """Train a few steps on noise and print the losses."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        Block(16, "bin"),
        Block(16, "gn:groups=4"),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 4),
    )
    # No weight decay on scales and shifts; the gates of `bin` learn ten times faster.
    groups = normlab.parameter_groups(network, 0.05, weight_decay=5e-4)
    optimizer = torch.optim.SGD(groups, lr=0.05, momentum=0.9)
    images, labels = torch.randn(32, 3, 16, 16), torch.randint(4, (32,))
    for step in range(10):
        loss = nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        normlab.clamp_gates(network)  # gates of `bin` stay in [0, 1]
        print(f"step {step}  loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
