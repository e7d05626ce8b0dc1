"""Folding: the same function with fewer layers, and a reason for every norm that stays."""

from __future__ import annotations

import copy
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import normlab
from normlab.norms.layers.baselines import NoNorm2d
from normlab.norms.spec import make_norm
from normlab.norms.surgery.recognize import view
from normlab.testing import relative_error

pytestmark = pytest.mark.usefixtures("one_thread")

LARGEST = 1e-5


def images(channels: int = 3, size: int = 16) -> Tensor:
    return torch.randn(4, channels, size, size, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def fold_and_compare(model: nn.Module, x: Tensor) -> normlab.norms.surgery.fold.Folding:  # type: ignore[name-defined]
    model.eval()
    expected = model(x)
    folding = normlab.fold(model)
    assert relative_error(model(x), expected) <= LARGEST
    return folding


def norms_left(model: nn.Module) -> int:
    return sum(view(module) is not None for module in model.modules())


# --- whole networks


@pytest.mark.parametrize("norm", ["bn", "bin", "torch-bn"])
@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_our_networks(norm: str, shortcut: str, libraries: ModuleType) -> None:
    model = normlab.resnet(n=2, num_classes=3, norm=norm, shortcut=shortcut)
    libraries.scramble(model)
    folding = fold_and_compare(model, images())
    assert norms_left(model) == 0
    assert len(folding.folded) == (13 if shortcut == "A" else 15)
    assert ("stages.1.0.norm2", "stages.1.0.conv2") in folding.folded
    assert isinstance(model.stem.norm, NoNorm2d)
    assert not folding.kept


@pytest.mark.parametrize("frozen", [False, True])
def test_a_torchvision_network(frozen: bool, libraries: ModuleType) -> None:
    norm = libraries.FrozenBatchNorm2d if frozen else nn.BatchNorm2d
    model = libraries.TorchvisionResNet(norm)
    libraries.scramble(model)
    folding = fold_and_compare(model, images())
    assert norms_left(model) == 0
    assert ("layer2.0.downsample.1", "layer2.0.downsample.0") in folding.folded


@pytest.mark.parametrize("norm", ["in", "ln", "gn", "ln:axes=c"])
def test_norms_that_depend_on_the_image(norm: str) -> None:
    model = normlab.resnet(n=1, norm=norm)
    folding = fold_and_compare(model, images())
    assert not folding.folded
    assert norms_left(model) == 7
    assert folding.kept[0][0] == "stem.norm"
    assert folding.kept[0][1].startswith("its statistics depend on the image")
    assert "0 of 7 normalizations folded" in str(folding)


def test_after_training_and_in_channels_last() -> None:
    model = normlab.resnet(n=1, num_classes=3).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    x = images().to(memory_format=torch.channels_last)
    for _ in range(5):
        optimizer.zero_grad()
        (model(x) - 1).square().mean().backward()
        optimizer.step()
    fold_and_compare(model, x)
    assert model.stem.conv.weight.is_contiguous(memory_format=torch.channels_last)


def test_a_network_that_cannot_be_traced(libraries: ModuleType) -> None:
    class Depends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
            self.block = libraries.BasicBlock(8, 8)
            self.own = nn.Conv2d(8, 8, 1)
            self.norm = nn.BatchNorm2d(8)

        def forward(self, x: Tensor) -> Tensor:
            y = self.block(self.stem(x))
            return y if y.mean() > 100 else self.norm(self.own(y))

    model = Depends()
    libraries.scramble(model)
    folding = fold_and_compare(model, images())
    assert folding.folded == (
        ("stem.1", "stem.0"),
        ("block.bn1", "block.conv1"),
        ("block.bn2", "block.conv2"),
    )
    assert folding.kept == (("norm", "no convolution stands right before it"),)


def test_an_untraceable_sequential(libraries: ModuleType) -> None:
    class Branch(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), Branch(), nn.BatchNorm2d(8))
    libraries.scramble(model)
    folding = fold_and_compare(model, images())
    assert folding.folded == (("1", "0"),)
    assert folding.kept == (("3", "what stands before it, 2, is a Branch and no convolution"),)


def test_an_optional_argument_that_changes_nothing_here(libraries: ModuleType) -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)
            self.norm = make_norm("bn", 8)

        def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
            return self.norm(self.conv(x), residual=skip, activation="silu")

    model = Block()
    libraries.scramble(model)
    assert fold_and_compare(model, images()).folded == (("norm", "conv"),)


# --- convolutions


@pytest.mark.parametrize(
    "conv",
    [
        lambda: nn.Conv2d(4, 8, 3),
        lambda: nn.Conv2d(4, 8, 3, bias=False, padding=1, padding_mode="reflect"),
        lambda: nn.Conv2d(4, 8, 3, groups=2, dilation=2),
        lambda: nn.Conv2d(4, 8, 3, groups=4, bias=False, padding="same"),
        lambda: nn.ConvTranspose2d(4, 8, 3, stride=2),
        lambda: nn.ConvTranspose2d(4, 8, 3, bias=False),
        lambda: nn.ConvTranspose2d(4, 8, 3, groups=2, output_padding=1, stride=2),
        lambda: nn.ConvTranspose2d(4, 8, 3, groups=4),
    ],
)
@pytest.mark.parametrize("norm", ["bn", "framework", "no affine"])
def test_convolutions(conv: Any, norm: str, libraries: ModuleType) -> None:
    after = {
        "bn": lambda: make_norm("bn", 8),
        "framework": lambda: nn.BatchNorm2d(8, eps=1e-2),
        "no affine": lambda: nn.BatchNorm2d(8, affine=False),
    }[norm]()
    model = nn.Sequential(conv(), after)
    libraries.scramble(model)
    folding = fold_and_compare(model, images(4))
    assert folding.folded == (("1", "0"),)


def test_an_instance_norm_with_running_statistics(libraries: ModuleType) -> None:
    for norm in (nn.InstanceNorm2d, normlab.InstanceNorm2d):
        model = nn.Sequential(nn.Conv2d(3, 8, 3), norm(8, affine=True, track_running_stats=True))
        libraries.scramble(model)
        assert fold_and_compare(model, images()).folded == (("1", "0"),)


def test_the_activation_inside_the_norm_stays(libraries: ModuleType) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), libraries.BatchNormAct2d(8, act_layer=nn.SiLU))
    libraries.scramble(model)
    assert fold_and_compare(model, images()).folded == (("1", "0"),)


def test_the_bias_trains_as_the_weight_does() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)).double().eval()
    model[0].weight.requires_grad_(False)
    normlab.fold(model)
    assert model[0].bias.requires_grad is False
    assert model[0].bias.dtype == torch.float64


# --- refusals


class Elsewhere(nn.Module):
    """The convolution's output goes to the norm, and around it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) + y


class Twice(Elsewhere):
    """The convolution feeds the norm, and is called a second time."""

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) + self.conv(x * 2)


class InPlace(Elsewhere):
    """Something happens in place between convolution and norm."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        y.relu_()
        return self.norm(y)


class SharedNorm(Elsewhere):
    """One norm after two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Conv2d(3, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) + self.norm(self.other(x))


class OwnWeight(Elsewhere):
    """The convolution's weight is read a second time."""

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) + self.conv.weight.sum()


class Optional(Elsewhere):
    """Around the norm goes the convolution's output only where no other was given."""

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        y = self.conv(x)
        return self.norm(y) + (y if skip is None else skip)


class Skips(Elsewhere):
    """The norm is called only where it is asked for."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        y = self.conv(x)
        return self.norm(y) if mask is None else y * mask


class Preactivation(nn.Module):
    """The norm stands before the convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.norm(x).relu())


class Standardized(nn.Conv2d):
    """As timm's StdConv2d: the weight is standardized in every call."""

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight - self.weight.mean(), self.bias)


def tied() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3))
    model[2].weight = model[0].weight
    return model


def hooked(index: int) -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    model[index].register_forward_hook(lambda *_: None)
    return model


def shared_convolution() -> nn.Module:
    conv = nn.Conv2d(3, 3, 3)
    return nn.Sequential(conv, nn.BatchNorm2d(3), conv)


def half_gated() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), make_norm("bin", 8))
    with torch.no_grad():
        model[1].gate[:3] = 0.5
    return model


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Elsewhere, "the output of conv is used elsewhere too"),
        (Twice, "conv before it is called several times"),
        (InPlace, "the output of conv is used elsewhere too"),
        (SharedNorm, "it is called several times"),
        (OwnWeight, "the weights of conv are used elsewhere too"),
        (Optional, "what stands before it depends on the arguments of forward"),
        (Skips, "what stands before it depends on the arguments of forward"),
        (Preactivation, "no convolution stands right before it"),
        (lambda: nn.BatchNorm2d(3), "no convolution stands right before it"),
        (lambda: nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)), "is a ReLU and no convolution"),
        (shared_convolution, "called several times"),
        (tied, "the weights of 0 are shared with another module"),
        (lambda: hooked(0), "0 has forward hooks"),
        (lambda: hooked(1), "it has forward hooks"),
        (half_gated, "the gate is not 1 in 3 of 8 channels, where its statistics depend on the"),
        (
            lambda: nn.Sequential(Standardized(3, 8, 3), nn.BatchNorm2d(8)),
            "0 is a Standardized with a forward of its own",
        ),
        (
            lambda: nn.Sequential(
                parametrizations.weight_norm(nn.Conv2d(3, 8, 3)), nn.BatchNorm2d(8)
            ),
            "the weight of 0 is computed by a parametrization",
        ),
        (
            lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, track_running_stats=False)),
            "its statistics depend on the batch: it keeps no running ones",
        ),
    ],
)
def test_refusals(make: Any, reason: str) -> None:
    model = make()
    state = copy.deepcopy(model.state_dict())
    folding = fold_and_compare(model, images())
    assert not folding.folded
    ((_, given),) = folding.kept
    assert reason in given
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())


def test_a_norm_in_training_mode() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    assert normlab.fold(model).kept == (("1", "it is in training mode; call model.eval() first"),)
    normlab.freeze(model)
    assert normlab.fold(model.train()).folded == (("1", "0"),)


def test_folding_again_after_a_remedy(libraries: ModuleType) -> None:
    """What is already folded does not hide what is left."""
    model = normlab.resnet(n=1, num_classes=3)
    libraries.scramble(model)
    handle = model.stages[1][0].norm2.register_forward_hook(lambda *_: None)
    assert len(fold_and_compare(model, images()).folded) == 6
    handle.remove()
    assert fold_and_compare(model, images()).folded == (("stages.1.0.norm2", "stages.1.0.conv2"),)
    assert str(normlab.fold(model)) == "0 of 0 normalizations folded"
