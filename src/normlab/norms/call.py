"""The call of a norm in a network, which stays right where a tool has put another norm there."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from normlab.norms.base import Normalization
from normlab.norms.functional.activation import Activation, activate


def call_norm(
    norm: nn.Module,
    x: Float[Tensor, "n c h w"],
    residual: Float[Tensor, "n c h w"] | None = None,
    activation: Activation = "none",
) -> Float[Tensor, "n c h w"]:
    """act(norm(x) + residual): in the norm's own sweep where it can, else after it.

    SyncBatchNorm.convert_sync_batchnorm, timm's freeze_batch_norm_2d and their like put layers into
    a network that take x alone.

    Args:
        norm: what `NormSpec.make` made, or any layer that keeps the shape of x.
        x: (N, C, H, W).
        residual: of the shape of x.
        activation: "none", "relu", "leaky_relu" (slope 0.01) or "silu".

    Returns:
        The shape of x.

    >>> import torch
    >>> x = torch.tensor([[[[1.0, -2.0]]]])
    >>> call_norm(nn.Identity(), x, residual=x, activation="relu")
    tensor([[[[2., 0.]]]])
    """
    if isinstance(norm, Normalization) or getattr(norm, "norm_spec", None) is not None:
        fused: Tensor = norm(x, residual=residual, activation=activation)
        return fused
    z: Tensor = norm(x)
    return activate(z if residual is None else z + residual, activation)
