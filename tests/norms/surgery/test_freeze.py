"""Frozen norms evaluate in training, and train again after `unfreeze`."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import normlab
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
