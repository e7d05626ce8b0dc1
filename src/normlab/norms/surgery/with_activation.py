"""A norm with the dropout and the activation that stood inside the norm it replaces."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from normlab.norms.call import call_norm
from normlab.norms.functional.activation import LEAKY_SLOPE, Activation


class ActivatedNorm(nn.Module):
    """act(drop(norm(x))), as timm's BatchNormAct2d and its like compute.

    Where nothing is dropped and the activation is one that the norms know, it rides on the norm's
    own sweep.
    """

    def __init__(self, norm: nn.Module, drop: nn.Module, act: nn.Module) -> None:
        """Keep the three as children, `drop` and `act` under the names that timm gives them."""
        super().__init__()
        self.norm = norm
        self.drop = drop
        self.act = act

    @property
    def fused(self) -> Activation | None:
        """The activation's name, where the norm can apply it."""
        untouched = not (self.act._forward_hooks or self.act._forward_pre_hooks)
        if type(self.drop) is not nn.Identity or not untouched:
            return None
        match self.act:
            case nn.Identity():
                return "none"
            case nn.ReLU():
                return "relu"
            case nn.SiLU():
                return "silu"
            case nn.LeakyReLU(negative_slope=slope) if slope == LEAKY_SLOPE:
                return "leaky_relu"
            case _:
                return None

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Normalize, drop and activate; the shape is kept."""
        fused = self.fused
        if fused is not None:
            return call_norm(self.norm, x, activation=fused)
        y: Tensor = self.act(self.drop(self.norm(x)))
        return y
