"""Weight standardization: the filters are normalized instead of, or beside, what they give."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class WeightStandardizedConv2d(nn.Conv2d):
    """A convolution with standardized filters (Qiao et al. 2019, equations 5 to 7).

    Ŵ = (W − mean)/√(var + ε) over the input channels and pixels of every filter, ε = 1e-5. Names
    and shapes of the parameters are those of nn.Conv2d, so that weights are exchanged freely.
    """

    weight_eps = 1e-5

    def standardized(self) -> Float[Tensor, "out in k k"]:
        """Ŵ."""
        mean = self.weight.mean((1, 2, 3), keepdim=True)
        variance = self.weight.var((1, 2, 3), correction=0, keepdim=True)
        standardized: Tensor = (self.weight - mean) * (variance + self.weight_eps).rsqrt()
        return standardized

    def forward(self, input: Float[Tensor, "n in h w"]) -> Float[Tensor, "n out h2 w2"]:
        """The convolution with Ŵ."""
        y: Tensor = self._conv_forward(input, self.standardized(), self.bias)
        return y
