"""Scale and shift for each sample, from a condition."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from normlab import freeze, precise_statistics
from normlab.errors import UsageError
from normlab.norms.layers.batch import BatchNorm2d
from normlab.norms.layers.batch_instance import BatchInstanceNorm2d
from normlab.norms.layers.conditional import ConditionalNorm2d
from normlab.norms.layers.group import GroupNorm2d
from normlab.norms.layers.instance import InstanceNorm2d
from normlab.testing import relative_error

pytestmark = pytest.mark.usefixtures("one_thread")
C = 8


def images(seed: int = 0, samples: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, C, 5, 4, generator=generator, dtype=torch.float64) * 2 + 1


@pytest.mark.parametrize(
    "base", [BatchNorm2d(C), InstanceNorm2d(C), GroupNorm2d(2, C)], ids=lambda b: type(b).__name__
)
def test_conditional_scale_and_shift(base: nn.Module) -> None:
    layer = ConditionalNorm2d(base.double(), features=3).double()
    condition = torch.eye(3, dtype=torch.float64)[[0, 1, 2, 0, 1, 2]]
    x = images(1)
    plain = {
        BatchNorm2d: lambda: functional.batch_norm(x, None, None, training=True),
        InstanceNorm2d: lambda: functional.instance_norm(x),
        GroupNorm2d: lambda: functional.group_norm(x, 2),
    }[type(base)]()
    assert relative_error(layer(x, condition), plain) < 1e-12  # it starts as the bare norm
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    scale, shift = 1 + layer.scale(condition), layer.shift(condition)
    expected = plain * scale[:, :, None, None] + shift[:, :, None, None]
    assert relative_error(layer(x, condition, None, "relu"), torch.relu(expected)) < 1e-12
    with pytest.raises(UsageError, match="one row for each image"):
        layer(x, condition[:2])


def test_a_conditional_batch_norm_is_frozen_and_made_precise() -> None:
    """Its base is not called as a module, yet what works by hooks reaches it."""
    x, condition = images(3).float() + 5, torch.eye(2)[[0, 1, 0, 1, 0, 1]]
    model = ConditionalNorm2d(BatchNorm2d(C), features=2)
    found = precise_statistics(model, [x], forward=lambda m, batch: m(batch, condition))
    assert found.layers == ("base",)
    assert relative_error(model.base.running_mean, x.mean((0, 2, 3))) < 1e-6
    assert freeze(model) == ["base"]
    model.train()
    before = model.base.running_mean.clone()
    y = model(x + 1, condition)
    assert torch.equal(model.base.running_mean, before)
    assert float(y.detach().mean()) > 0.3  # by the statistics of x


def test_what_cannot_be_conditioned() -> None:
    with pytest.raises(UsageError, match="tracks running statistics"):
        ConditionalNorm2d(InstanceNorm2d(C, track_running_stats=True), features=2)


def test_a_conditional_batch_norm_evaluates_by_its_running_statistics() -> None:
    layer = ConditionalNorm2d(BatchNorm2d(C), features=2)
    for seed in range(3):
        layer(images(seed).float(), torch.ones(6, 2))
    x, condition = images(9).float(), torch.randn(6, 2)
    layer.eval()
    assert relative_error(layer(x[:1], condition[:1]), layer(x, condition)[:1]) < 1e-6
    with pytest.raises(UsageError, match="cannot be conditioned"):
        ConditionalNorm2d(BatchInstanceNorm2d(C), 2)
