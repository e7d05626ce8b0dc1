"""A normalization of your own: a rule of a few lines, a name, and the tests that all norms pass.

Run it with:

    python examples/own_norm.py
    pytest examples/own_norm.py        # the contract
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

import normlab
from normlab.norms import registry
from normlab.norms.functional.engine import plane_norm
from normlab.testing import NormContract


class HalfMeanNorm2d(nn.Module):
    """y = γ·(x − μ/2)/√(mean of x² over the sample + ε): half of each plane's mean is kept."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    @staticmethod
    def rule(mean: Tensor, variance: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """From the planes' means and variances (n, c) to a scale and an offset for each."""
        square = (variance + mean**2).mean(1, keepdim=True)
        scale = weight * (square + 1e-5).rsqrt()
        return scale, scale * mean / 2

    def forward(
        self, x: Tensor, residual: Tensor | None = None, activation: str = "none"
    ) -> Tensor:
        """act(norm(x) + residual), shape (n, c, h, w) as x."""
        return plane_norm(x, self.rule, (self.weight,), residual, activation)[0]


class TestHalfMeanNorm(NormContract):
    """Shapes, layouts, dtypes, gradients, compilers, saving: the tests come with the class."""

    def make(self, channels: int) -> nn.Module:
        """Build the layer that is tested."""
        return HalfMeanNorm2d(channels)


def main() -> None:
    """Give the norm a name, and use it by that name."""
    registry.register(
        registry.NormInfo(
            code="half-mean",
            name="half-mean normalization",
            paper="ours",
            normalizes_over="C, H, W per sample",
            options={},
            parameters_per_channel=1,
            make=HalfMeanNorm2d,
        )
    )
    network = normlab.resnet(n=1, num_classes=3, norm="half-mean")
    print(network(torch.randn(2, 3, 32, 32)).shape)


if __name__ == "__main__":
    main()
