"""Weight standardization: normalized filters, alone or together with a normalization."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class WeightStandardizedConv2d(nn.Conv2d):
    """A convolution with standardized filters (Qiao et al. 2019, equations 5 to 7).

    Ŵ = (W − mean)/√(var + ε) over the input channels and pixels of every filter, ε = 1e-5. Names
    and shapes of the parameters are those of nn.Conv2d, so that weights are exchanged freely.

    Shape:
        (N, C_in, H, W) → (N, C_out, H', W'), as nn.Conv2d, whose arguments it takes.

    >>> import torch
    >>> layer = WeightStandardizedConv2d(3, 8, 3)
    >>> torch.allclose(layer.standardized().mean((1, 2, 3)), torch.zeros(8), atol=1e-6)
    True
    """

    weight_eps = 1e-5

    def standardized(self) -> Float[Tensor, "out in k k"]:
        """Return the standardized filters Ŵ, of the shape of `weight`."""
        mean = self.weight.mean((1, 2, 3), keepdim=True)
        variance = self.weight.var((1, 2, 3), correction=0, keepdim=True)
        standardized: Tensor = (self.weight - mean) * (variance + self.weight_eps).rsqrt()
        return standardized

    def forward(self, input: Float[Tensor, "n in h w"]) -> Float[Tensor, "n out h2 w2"]:
        """Convolve with the standardized filters."""
        y: Tensor = self._conv_forward(input, self.standardized(), self.bias)
        return y
