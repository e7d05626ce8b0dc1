"""A layer's output as the feature map (N, K, H', W') that it is, whatever the order of its axes."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from normlab.norms.surgery.recognize import layout_of

MOST_PREFIX_TOKENS = 16
"""A class token, one for distillation, registers: tokens before those of the image."""


def feature_map(
    module: nn.Module, output: object, height: int, width: int
) -> Float[Tensor, "n k h w"] | None:
    """The output with channels first and one value a place; None where it has no places.

    Args:
        module: the layer; a norm says by itself where its channels are.
        output: (N, K, H', W'), (N, H', W', K), or tokens (N, P + H'·W', K), whose first P stand for
            no place.
        height: H of the network's images.
        width: W of them; H'/W' is H/W.

    >>> import torch
    >>> feature_map(nn.GELU(), torch.zeros(2, 7, 7, 96), 224, 224).shape
    torch.Size([2, 96, 7, 7])
    >>> feature_map(nn.LayerNorm(192), torch.zeros(2, 197, 192), 224, 224).shape
    torch.Size([2, 192, 14, 14])
    """
    if not isinstance(output, Tensor):
        return None
    if output.dim() == 4:
        last = layout_of(module) == "channels last" or (
            _alike(output.shape[1:3], height, width) and not _alike(output.shape[2:], height, width)
        )
        return output.permute(0, 3, 1, 2) if last else output
    if output.dim() == 3 and layout_of(module) == "channels last":
        prefix = prefix_tokens(output.shape[1], height, width)
        if prefix is not None:
            rows = round(((output.shape[1] - prefix) * height / width) ** 0.5)
            found: Tensor = output[:, prefix:].transpose(1, 2).unflatten(2, (rows, -1))
            return found
    return None


def prefix_tokens(tokens: int, height: int, width: int) -> int | None:
    """How many tokens are before those of the image; None where no number makes a grid of the rest.

    >>> prefix_tokens(197, 224, 224), prefix_tokens(196, 224, 224), prefix_tokens(98, 112, 224)
    (1, 0, 0)
    """
    for prefix in range(min(MOST_PREFIX_TOKENS, tokens - 1) + 1):
        places = tokens - prefix
        rows = round((places * height / width) ** 0.5)
        if rows > 0 and places % rows == 0 and rows * width == (places // rows) * height:
            return prefix
    return None


def _alike(sides: tuple[int, ...], height: int, width: int) -> bool:
    return sides[0] * width == sides[1] * height
