"""Pooled statistics against the statistics of the joined activations, computed by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import normlab
from normlab.errors import UsageError
from normlab.norms.spec import make_norm

pytestmark = pytest.mark.usefixtures("one_thread")


def batches(*sizes: int, channels: int = 3) -> list[Tensor]:
    """Batches that differ in size and in mean, so that a mean of variances is far off."""
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(size, channels, 6, 6, generator=generator) * (1 + index) + 5 * index
        for index, size in enumerate(sizes)
    ]


def running(norm: nn.Module) -> tuple[Tensor, Tensor]:
    return norm.running_mean, norm.running_var  # type: ignore[return-value]


@pytest.mark.parametrize("norm", ["bn", "bin", "torch-bn", "framework"])
def test_the_first_layer_has_the_statistics_of_all_batches_joined(norm: str) -> None:
    layer = nn.BatchNorm2d(3) if norm == "framework" else make_norm(norm, 3)
    data = batches(4, 7, 2)
    report = normlab.precise_statistics(nn.Sequential(layer), data)
    joined = torch.cat(data).double()
    mean, variance = running(layer)
    torch.testing.assert_close(mean, joined.mean((0, 2, 3)).float())
    torch.testing.assert_close(variance, joined.var((0, 2, 3), correction=1).float())
    assert (report.layers, report.batches, report.samples) == (("0",), 3, 13)


def test_a_moving_average_would_not_do() -> None:
    """The comparison above can fail: what training itself keeps is far away."""
    layer = nn.BatchNorm2d(3)
    for batch in batches(4, 7, 2):
        layer(batch)
    joined = torch.cat(batches(4, 7, 2))
    assert (layer.running_var - joined.var((0, 2, 3))).abs().max() > 5


def test_deeper_layers_see_what_they_see_in_training() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), make_norm("bn", 4))
    data = batches(4, 7, 2)
    normlab.precise_statistics(model, data)
    with torch.no_grad():
        seen = torch.cat([model[1](nn.BatchNorm2d(3)(batch)) for batch in data])
    mean, variance = running(model[2])
    torch.testing.assert_close(mean, seen.mean((0, 2, 3)))
    torch.testing.assert_close(variance, seen.var((0, 2, 3)))


def test_everything_else_stays() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3, momentum=0.3), nn.Dropout(0.5), nn.BatchNorm2d(3))
    model[1].eval()
    model[2].eval()
    model[0].num_batches_tracked.fill_(17)
    state = torch.get_rng_state()
    normlab.precise_statistics(model, batches(4, 3), batches=2)
    assert [module.training for module in model] == [True, False, False]
    assert (model[0].momentum, int(model[0].num_batches_tracked)) == (0.3, 17)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_norm_used_twice_pools_both_uses() -> None:
    shared = nn.BatchNorm2d(3)

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = shared

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.norm(x), self.norm(x + 10)

    (data,) = batches(4)
    normlab.precise_statistics(Twice(), [data])
    torch.testing.assert_close(shared.running_mean, torch.cat([data, data + 10]).mean((0, 2, 3)))


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(3), nn.BatchNorm3d(3)])
def test_other_shapes(layer: nn.Module) -> None:
    x = torch.randn(5, 3, *([4] * (3 if isinstance(layer, nn.BatchNorm3d) else 1)))
    normlab.precise_statistics(layer, [x])
    torch.testing.assert_close(layer.running_var, x.transpose(0, 1).flatten(1).var(1))


@pytest.mark.parametrize("make", [nn.InstanceNorm2d, normlab.InstanceNorm2d])
def test_instance_norms_keep_the_average_of_instances(make: type[nn.Module]) -> None:
    layer = make(3, track_running_stats=True)
    data = batches(4, 7)
    normlab.precise_statistics(layer, data)
    planes = torch.cat(data).flatten(2)
    torch.testing.assert_close(layer.running_mean, planes.mean(2).mean(0))
    torch.testing.assert_close(layer.running_var, planes.var(2).mean(0))


def test_frozen_norms_are_left_out() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3))
    normlab.freeze(model[0])
    report = normlab.precise_statistics(model, batches(4))
    assert report.layers == ("1",)
    assert torch.equal(model[0].running_mean, torch.zeros(3))


@pytest.mark.parametrize(
    ("data", "wanted", "message"),
    [
        ([], None, "the loader gave 0 batches, at least 1 needed"),
        (batches(4), 2, "the loader gave 1 batches, 2 needed"),
        (batches(4), 0, "at least 1 batch, got batches=0"),
        ([{"image": 1}], None, "a batch is a dict, not a tensor"),
    ],
)
def test_errors_leave_the_model(data: list[Tensor], wanted: int | None, message: str) -> None:
    model = nn.Sequential(make_norm("bn", 3)).eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(UsageError, match=message):
        normlab.precise_statistics(model, data, wanted)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert not model[0].training


def test_an_error_of_the_model_leaves_the_statistics() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(4, 1, 1))
    with pytest.raises(RuntimeError):
        normlab.precise_statistics(model, batches(4))
    assert torch.equal(model[0].running_var, torch.ones(3))
    assert int(model[0].num_batches_tracked) == 0


def test_tuples_and_a_forward_of_ones_own() -> None:
    layer = nn.BatchNorm2d(3)
    (x,) = batches(4)
    normlab.precise_statistics(layer, [(x, torch.zeros(4))])
    expected = layer.running_mean.clone()
    layer.reset_running_stats()
    normlab.precise_statistics(layer, [{"image": x}], forward=lambda m, b: m(b["image"]))
    assert torch.equal(layer.running_mean, expected)
