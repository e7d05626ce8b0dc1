"""Frozen norms evaluate in training, and train again after `unfreeze`."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import normlab
from normlab.errors import UsageError
from normlab.networks.registry import make_network
from normlab.testing import assert_close

pytestmark = pytest.mark.usefixtures("one_thread")


def images(channels: int = 3, size: int = 16) -> Tensor:
    return torch.randn(4, channels, size, size, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("norm", ["bn", "bin", "torch-bn"])
def test_frozen_norms_evaluate_in_training(norm: str) -> None:
    model = normlab.resnet(n=1, num_classes=3, norm=norm)
    x = images()
    model(x)
    with torch.no_grad():
        expected = model.eval()(x)
    names = normlab.freeze(model)
    assert len(names) == 7
    model.train()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    y = model(x)
    assert_close(y, expected, 1e-5, "y")
    y.sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert normlab.unfreeze(model) == names
    assert model.training
    assert all(module.training for module in model.modules())
    model(x)
    assert not torch.equal(state["stem.norm.running_mean"], model.stem.norm.running_mean)


def test_freezing_twice_is_freezing_once() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3))
    assert normlab.freeze(model) == normlab.freeze(model) == ["0"]
    assert len(model[0]._forward_pre_hooks) == 1
    assert normlab.unfreeze(model) == ["0"]
    assert not model[0]._forward_pre_hooks


def frozen_torch_network() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    normlab.freeze(model)
    return model


def network_of_a_frozen_norm() -> nn.Module:
    return make_network("cifar-resnet8", 3, "bn:frozen=true")


def converted_to_a_frozen_norm() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    normlab.convert_norms(model, "bn:frozen=true")
    return model


@pytest.mark.parametrize(
    "make", [frozen_torch_network, network_of_a_frozen_norm, converted_to_a_frozen_norm]
)
def test_a_sync_batch_norm_does_not_thaw_in_silence(make) -> None:
    model = make()
    model.train()(images())
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(model).train()
    with pytest.raises(UsageError, match=r"was frozen, and a SyncBatchNorm has taken its place"):
        converted(images())
    converted.eval()(images())
    normlab.freeze(converted)
    running = [m.running_mean.clone() for m in converted.modules() if hasattr(m, "running_mean")]
    converted.train()(images() + 3)
    after = [m.running_mean for m in converted.modules() if hasattr(m, "running_mean")]
    assert all(torch.equal(a, b) for a, b in zip(running, after, strict=True))


def test_thawed_on_purpose_is_no_error() -> None:
    model = frozen_torch_network()
    normlab.unfreeze(model)
    assert not model._forward_pre_hooks
    nn.SyncBatchNorm.convert_sync_batchnorm(model).train()(images())
