"""Residual networks (He et al. 2015): 6n+2 layers for small images, ResNet-18/34 for large ones.

    resnet(n)       3×3 convolution, 16 filters
                    n blocks of 16 filters, n of 32 at half size, n of 64 at a quarter
                    mean over the map, fully connected to r classes         (section 4.2)
    resnet18/34     7×7 convolution, 64 filters, stride 2; 3×3 max pool, stride 2
                    blocks of 64, 128, 256, 512 filters                     (table 1)

The first kind is called cifar-resnet8, 14, 20, 26, 32, 38, 44, …, all of them of basic blocks:
resnet50 is another network to most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from normlab.errors import UnknownNameError, UsageError
from normlab.limits import MAX_LAYERS
from normlab.networks.resnet.blocks import BasicBlock, convolution
from normlab.networks.resnet.initialization import initialize
from normlab.norms.call import call_norm
from normlab.norms.spec import NormSpec, parse_norm
from normlab.records.network import present_name

LARGE_IMAGE_BLOCKS: dict[str, tuple[int, ...]] = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
}

ResNetFactory = Callable[..., "ResNet"]


class ResNet(nn.Module):
    """A stem, stages of basic blocks that halve the map and double the filters, a classifier."""

    def __init__(
        self,
        stem: nn.Module,
        stem_channels: int,
        blocks: Sequence[int],
        num_classes: int,
        norm: NormSpec,
        shortcut: str,
    ) -> None:
        """`blocks` gives the number of blocks of each stage."""
        super().__init__()
        self.stem = stem
        stages = []
        channels = stem_channels
        for index, count in enumerate(blocks):
            width = stem_channels * 2**index
            first = BasicBlock(channels, width, 1 if index == 0 else 2, norm, shortcut)
            rest = [BasicBlock(width, width, 1, norm, shortcut) for _ in range(count - 1)]
            stages.append(nn.Sequential(first, *rest))
            channels = width
        self.stages = nn.Sequential(*stages)
        self.classifier = nn.Linear(channels, num_classes)

    def features(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n features"]:
        """The penultimate features: the last map's mean over its pixels."""
        maps: Tensor = self.stages(self.stem(x))
        return maps.mean((2, 3))

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n classes"]:
        """Return the logits, shape (N, num_classes)."""
        logits: Tensor = self.classifier(self.features(x))
        return logits


class SmallStem(nn.Module):
    """relu(norm(3×3 convolution)), at full size."""

    def __init__(self, channels: int, norm: NormSpec) -> None:
        """Make the stem, which takes 3 channels and gives `channels`."""
        super().__init__()
        self.conv = convolution(norm, 3, channels)
        self.norm = norm.make(channels)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c h w"]:
        """Return features of shape (N, channels, H, W)."""
        return call_norm(self.norm, self.conv(x), activation="relu")


class LargeStem(nn.Module):
    """relu(norm(7×7 convolution, stride 2)), 3×3 max pool of stride 2: a quarter of the size."""

    def __init__(self, channels: int, norm: NormSpec) -> None:
        """Make the stem, which takes 3 channels and gives `channels`."""
        super().__init__()
        self.conv = convolution(norm, 3, channels, size=7, stride=2)
        self.norm = norm.make(channels)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c h4 w4"]:
        """Return features of shape (N, channels, H/4, W/4)."""
        y: Tensor = self.pool(call_norm(self.norm, self.conv(x), activation="relu"))
        return y


def resnet(
    n: int = 2,
    num_classes: int = 10,
    norm: str = "bn",
    *,
    shortcut: str = "A",
    zero_init_last_scale: bool = False,
    generator: torch.Generator | None = None,
) -> ResNet:
    """The residual network of 6n+2 layers for images of any size.

    Args:
        n: blocks a stage, at least 1; the course's network has n = 2.
        num_classes: r, the width of the output.
        norm: spec string of the normalization, e.g. "gn:groups=8"; "none" for no normalization.
        shortcut: "A", zero-padded identity, or "B", 1×1 projection with a norm.
        zero_init_last_scale: start every block as the identity.
        generator: source of the initial weights; torch's global generator if None.

    Returns:
        The network, which maps (N, 3, H, W) to logits of shape (N, num_classes).

    Raises:
        UsageError: a value that cannot be used.

    >>> sum(p.numel() for p in resnet(n=2, num_classes=25).parameters())
    173481
    """
    if not 1 <= n <= (MAX_LAYERS - 2) // 6:
        raise UsageError(f"a residual network of 6n+2 layers has n of 1 to 1000, got {n}")
    return resnet_by_name(
        f"cifar-resnet{6 * n + 2}",
        num_classes,
        norm,
        shortcut=shortcut,
        zero_init_last_scale=zero_init_last_scale,
        generator=generator,
    )


def resnet_by_name(
    name: str,
    num_classes: int,
    norm: str,
    *,
    shortcut: str = "A",
    zero_init_last_scale: bool = False,
    generator: torch.Generator | None = None,
) -> ResNet:
    """A residual network by name; see `resnet` for the other arguments.

    Args:
        name: "cifar-resnet14", "resnet18", ….
        num_classes: the width of the output.
        norm: spec string of the normalization.
        shortcut: "A" or "B".
        zero_init_last_scale: start every block as the identity.
        generator: source of the initial weights.

    Returns:
        The network, which maps (N, 3, H, W) to logits of shape (N, num_classes).

    Raises:
        UnknownNameError: no network has that name.
        UsageError: a value that cannot be used.

    >>> sum(p.numel() for p in resnet_by_name("resnet18", 1000, "bn", shortcut="B").parameters())
    11689512
    """
    found = present_name(name)
    factory = small_factory(found) or next(
        (f for each in LARGE_IMAGE_BLOCKS if (f := large_factory(each, found))), None
    )
    if factory is None or name in ("resnet50", "resnet152"):
        known = [f"cifar-resnet{6 * n + 2}" for n in range(1, 10)] + [*LARGE_IMAGE_BLOCKS]
        raise UnknownNameError("network", name, [*known, "cifar-resnet{6n+2}"])
    return factory(
        num_classes,
        parse_norm(norm),
        generator,
        shortcut=shortcut,
        zero_init_last_scale=zero_init_last_scale,
    )


def small_factory(name: str) -> ResNetFactory | None:
    """The factory of a name like "cifar-resnet14" (n = 2 of 6n+2), or None for any other name."""
    digits = name.removeprefix("cifar-resnet")
    numbered = name.startswith("cifar-resnet") and digits.isdecimal() and len(digits) < 9
    layers = int(digits) if numbered else 0
    n, remainder = divmod(layers - 2, 6)
    if n < 1 or remainder or layers > MAX_LAYERS:
        return None
    return partial(_make, lambda norm: SmallStem(16, norm), 16, (n, n, n))


def large_factory(own: str, name: str) -> ResNetFactory | None:
    """The factory of the network `own` of LARGE_IMAGE_BLOCKS if that is the name, else None."""
    if name != own:
        return None
    return partial(_make, lambda norm: LargeStem(64, norm), 64, LARGE_IMAGE_BLOCKS[own])


def _make(
    stem: Callable[[NormSpec], nn.Module],
    channels: int,
    blocks: Sequence[int],
    num_classes: int,
    norm: NormSpec,
    generator: torch.Generator | None,
    *,
    shortcut: str = "A",
    zero_init_last_scale: bool = False,
) -> ResNet:
    if num_classes < 2:
        raise UsageError(f"a classifier needs at least 2 classes, got {num_classes}")
    if shortcut not in ("A", "B"):
        raise UnknownNameError("shortcut", shortcut, ["A", "B"])
    has_scale = norm.info.parameters_per_channel > 0
    if zero_init_last_scale and (not has_scale or norm.info.code == "grn"):  # grn adds its input
        raise UsageError(
            f"zero_init_last_scale needs a norm whose scale 0 makes its output 0, and {str(norm)!r}"
            " has none; leave the option or the norm out"
        )
    network = ResNet(stem(norm), channels, blocks, num_classes, norm, shortcut)
    initialize(network, generator, zero_init_last_scale=zero_init_last_scale)
    return network
