"""The 6n+2 network: counts, sizes, where the norms are, and the peers' defects ("Networks")."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import nn

import normlab
from normlab.errors import UnknownNameError, UsageError
from normlab.networks.resnet.blocks import BasicBlock, PaddedShortcut
from normlab.networks.resnet.resnet import resnet_by_name
from normlab.norms.base import Normalization
from normlab.norms.layers.baselines import NoNorm2d, TorchBatchNorm2d

ARMS = {
    "bn": normlab.BatchNorm2d,
    "in": normlab.InstanceNorm2d,
    "bin": normlab.BatchInstanceNorm2d,
    "ln": normlab.LayerNorm2d,
    "gn": normlab.GroupNorm2d,
    "none": NoNorm2d,
    "torch-bn": TorchBatchNorm2d,
}


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("shortcut", "classes", "count"),
    [("A", 10, 172_506), ("A", 25, 173_481), ("B", 10, 175_258), ("B", 25, 176_233)],
)
def test_parameter_counts_of_the_course(shortcut: str, classes: int, count: int) -> None:
    assert parameters(normlab.resnet(2, classes, "bn", shortcut=shortcut)) == count


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 9, 18])
def test_depth_and_parameters_for_every_n(n: int) -> None:
    """He et al. 2015, section 4.2: 6n+2 layers; counts worked out by hand, not by the code."""
    network = normlab.resnet(n, 10, "bn")
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 6 * n + 2
    weights = 9 * (3 * 16 + (2 * n) * 16 * 16)
    weights += 9 * (16 * 32 + (2 * n - 1) * 32 * 32) + 9 * (32 * 64 + (2 * n - 1) * 64 * 64)
    scales = 2 * (16 * (2 * n + 1) + 32 * 2 * n + 64 * 2 * n)
    assert parameters(network) == weights + scales + 65 * 10
    assert {type(m) for m in network.modules() if "Block" in type(m).__name__} == {BasicBlock}


@pytest.mark.parametrize("shortcut", ["A", "B"])
@pytest.mark.parametrize("arm", ARMS)
def test_the_chosen_norm_is_in_every_place(arm: str, shortcut: str) -> None:
    """Peers: "the chosen norm never reaches the residual blocks"; none has no norm at all."""
    network = normlab.resnet(2, 10, arm, shortcut=shortcut)
    convolutions = sum(isinstance(m, nn.Conv2d) for m in network.modules())
    types = Counter(type(m) for m in network.modules() if isinstance(m, Normalization | NoNorm2d))
    assert types == {ARMS[arm]: convolutions}
    norms_by_name = [m for m in network.modules() if "norm" in type(m).__name__.lower()]
    assert len(norms_by_name) == convolutions
    if arm == "none":
        assert not any(isinstance(m, Normalization) for m in network.modules())


def test_norms_stand_right_behind_their_convolutions() -> None:
    network = normlab.resnet(1, 10, "gn:groups=4")
    seen: list[str] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | Normalization):
            module.register_forward_hook(lambda m, *_: seen.append(type(m).__name__))
    network(torch.zeros(1, 3, 16, 16))
    assert seen == ["Conv2d", "GroupNorm2d"] * 7


@pytest.mark.parametrize("size", [8, 32, 33, 64])
def test_map_sizes(size: int) -> None:
    network = normlab.resnet(2, 10, "bn")
    x = torch.zeros(1, 3, size, size)
    x = network.stem(x)
    assert x.shape == (1, 16, size, size)
    for stage, (width, stride) in zip(network.stages, [(16, 1), (32, 2), (64, 4)], strict=True):
        x = stage(x)
        side = -(-size // stride)  # rounded up: zero padding keeps the last pixel
        assert x.shape == (1, width, side, side)


def test_block_against_the_plain_composition() -> None:
    torch.manual_seed(0)
    network = normlab.resnet(1, 10, "bn").double().eval()
    for module in network.modules():
        if isinstance(module, normlab.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    block = network.stages[1][0]
    x = torch.randn(2, 16, 10, 10, dtype=torch.float64)
    y = torch.relu(block.norm1(block.conv1(x)))
    skipped = torch.cat([x[:, :, ::2, ::2], torch.zeros(2, 16, 5, 5, dtype=torch.float64)], 1)
    expected = torch.relu(block.norm2(block.conv2(y)) + skipped)
    torch.testing.assert_close(block(x), expected)
    assert isinstance(block.shortcut, PaddedShortcut)


@pytest.mark.parametrize(("name", "count"), [("resnet18", 11_689_512), ("resnet34", 21_797_672)])
def test_large_image_networks_have_the_published_size(name: str, count: int) -> None:
    """The counts of torchvision's resnet18 and resnet34 at 1,000 classes."""
    network = resnet_by_name(name, 1000, "bn", shortcut="B")
    assert parameters(network) == count
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)


@pytest.mark.parametrize("name", ["resnet20", "cifar-resnet20"])
def test_the_small_networks_have_a_name_of_their_own_and_the_old_one(name: str) -> None:
    network = resnet_by_name(name, 10, "bn", generator=torch.Generator().manual_seed(1))
    same = normlab.resnet(3, 10, "bn", generator=torch.Generator().manual_seed(1))
    assert all(
        torch.equal(a, b) for a, b in zip(network.parameters(), same.parameters(), strict=True)
    )


@pytest.mark.parametrize("norm", list(ARMS))
def test_initial_weights_are_equal_to_the_bit_in_all_arms(norm: str) -> None:
    def weights(norm: str) -> list[torch.Tensor]:
        network = normlab.resnet(2, 5, norm, generator=torch.Generator().manual_seed(3))
        layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        return [layer.weight for layer in layers] + [network.classifier.bias]

    pairs = list(zip(weights("bn"), weights(norm), strict=True))
    assert all(torch.equal(one, other) for one, other in pairs)


def test_he_initialization_has_its_standard_deviation() -> None:
    network = normlab.resnet(3, 10, "bn", generator=torch.Generator().manual_seed(0))
    conv = network.stages[2][1].conv1
    assert conv.weight.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)


def test_zero_initialized_last_scale() -> None:
    network = normlab.resnet(2, 10, "in", zero_init_last_scale=True)
    blocks = [m for m in network.modules() if isinstance(m, BasicBlock)]
    assert all(block.norm2.weight.count_nonzero() == 0 for block in blocks)
    assert all(block.norm1.weight.eq(1).all() for block in blocks)
    for norm in ("none", "grn"):
        with pytest.raises(UsageError, match="zero_init_last_scale needs a norm whose scale 0"):
            normlab.resnet(2, 10, norm, zero_init_last_scale=True)


@pytest.mark.parametrize(
    "name", ["resnet15", "resnet2", "resnet50x", "vgg", "resnet", "resnet12", "resnet50"]
)
def test_unknown_networks(name: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown network '{name}'"):
        resnet_by_name(name, 10, "bn")


def test_bad_arguments() -> None:
    with pytest.raises(UsageError, match="n of 1 to 1000, got 0"):
        normlab.resnet(0)
    with pytest.raises(UsageError, match="at least 2 classes, got 1"):
        normlab.resnet(2, 1)
    with pytest.raises(UnknownNameError, match="unknown shortcut 'C'"):
        normlab.resnet(2, 10, shortcut="C")
    with pytest.raises(UsageError, match="7 groups do not divide 16 channels; choose one of 1, 2"):
        normlab.resnet(2, 10, "gn:groups=7")
