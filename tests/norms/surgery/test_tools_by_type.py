"""Tools that find batch norms by their type do to ours what they do to torch's own."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

import normlab
from normlab.networks.registry import make_network
from normlab.norms.spec import NormSpec
from real_libraries import make_torchvision_importable

OURS = ["bn", "torch-bn"]


def images(seed: int = 0) -> Tensor:
    return torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) + 2


class Twin(nn.BatchNorm2d):
    """Torch's own batch norm under the call of a norm: what a tool must make of ours."""

    norm_spec = "twin"

    def forward(self, x: Tensor, residual: Tensor | None = None, activation: str = "none"):
        z = super().forward(x)
        z = z if residual is None else z + residual
        return z.relu() if activation == "relu" else z


def twins(norm: str) -> tuple[nn.Module, nn.Module]:
    """Our network, and one of equal weights whose norms are torch's own."""
    network = make_network("cifar-resnet8", 3, norm, torch.Generator().manual_seed(0))
    other = copy.deepcopy(network)
    for parent in list(other.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                twin = Twin(child.num_features)
                twin.load_state_dict(child.state_dict())
                setattr(parent, name, twin)
    return network, other


def assert_alike(one: nn.Module, other: nn.Module) -> None:
    first, second = one.state_dict(), other.state_dict()
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=1e-4, atol=1e-5)
    assert [m.training for m in norms(one)] == [m.training for m in norms(other)]


def norms(network: nn.Module) -> list[nn.Module]:
    return [
        m for name, m in network.named_modules() if name.endswith("norm") or "norm" in name[-6:]
    ]


def after_a_step(network: nn.Module) -> Tensor:
    network(images(5)).square().sum().backward()
    return network.eval()(images(6)).detach()


@pytest.fixture
def timm_model() -> Any:
    make_torchvision_importable()
    return pytest.importorskip("timm.utils.model", reason="timm is not installed")


@pytest.fixture
def finetuning() -> Iterator[Any]:
    make_torchvision_importable()
    library = pytest.importorskip("pytorch_lightning", reason="Lightning is not installed")
    return library.callbacks.BaseFinetuning


@pytest.mark.parametrize("norm", OURS)
def test_update_bn_averages_over_the_loader(norm: str) -> None:
    network, other = twins(norm)
    for each in (network, other):
        update_bn([images(seed) for seed in range(3)], each)
    assert network.stem.norm.num_batches_tracked == 3
    assert network.stem.norm.momentum == 0.1
    assert_alike(network, other)


@pytest.mark.parametrize("norm", OURS)
def test_freezing_by_type(norm: str) -> None:
    network, other = twins(norm)
    for each in (network, other):
        each(images())
        for module in each.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
    torch.testing.assert_close(after_a_step(network), after_a_step(other))
    assert_alike(network, other)


@pytest.mark.parametrize("norm", OURS)
def test_conversion_to_sync_batch_norm(norm: str) -> None:
    network, other = twins(norm)
    expected = other(images())
    network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    assert sum(isinstance(m, nn.SyncBatchNorm) for m in network.modules()) == 7
    torch.testing.assert_close(network(images()), expected)
    torch.testing.assert_close(after_a_step(network), after_a_step(other))
    assert_alike(network, other)


@pytest.mark.parametrize("norm", ["bin", "gn", "brn", "bn:virtual_batch=2"])
def test_what_a_sync_batch_norm_cannot_do_is_left(norm: str) -> None:
    """A SyncBatchNorm in the place of `bin` would drop the gate without a word."""
    network = make_network("cifar-resnet8", 3, norm)
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    assert not any(isinstance(m, nn.SyncBatchNorm) for m in converted.modules())


@pytest.mark.parametrize("norm", OURS)
def test_timm_freezes_batch_norms(norm: str, timm_model: Any) -> None:
    network, other = twins(norm)
    other(images())
    network(images())
    network = timm_model.freeze_batch_norm_2d(network)
    assert sum(type(m).__name__ == "FrozenBatchNorm2d" for m in network.modules()) == 7
    torch.testing.assert_close(network.train()(images(3)), other.eval()(images(3)))
    thawed = timm_model.unfreeze_batch_norm_2d(network)
    assert thawed.train()(images(3)).shape == (6, 3)


@pytest.mark.parametrize("norm", OURS)
@pytest.mark.parametrize("train_bn", [True, False])
def test_lightning_freezes(norm: str, train_bn: bool, finetuning: Any) -> None:
    network, other = twins(norm)
    for each in (network, other):
        each(images())
        finetuning.freeze(each, train_bn=train_bn)
        each(images(1))
    trained = [p.requires_grad for p in network.parameters()]
    assert trained == [p.requires_grad for p in other.parameters()]
    assert any(trained) == train_bn
    torch.testing.assert_close(network.eval()(images(2)), other.eval()(images(2)))
    assert_alike(network, other)
    finetuning.make_trainable(network)
    assert all(p.requires_grad for p in network.parameters())


def test_a_converted_network_of_timms_kind_runs_on(libraries: Any) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), libraries.BatchNormAct2d(8))
    normlab.convert_norms(network, "bn")
    expected = copy.deepcopy(network)(images())
    replaced = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    assert isinstance(replaced[1].norm, nn.SyncBatchNorm)
    torch.testing.assert_close(replaced(images()), expected)


def test_it_is_called_as_a_norm_where_it_is_one() -> None:
    class Own(nn.Module):
        def forward(self, x: Tensor, residual: Tensor | None = None, activation: str = "none"):
            return x + len(activation)

    layer, x = Own(), images()
    assert torch.equal(normlab.call_norm(layer, x, activation="relu"), (x + 4).relu())
    vars(layer)["norm_spec"] = str(NormSpec)
    assert torch.equal(normlab.call_norm(layer, x, activation="relu"), x + 4)
