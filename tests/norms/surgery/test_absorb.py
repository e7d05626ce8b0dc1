"""A batch norm's running statistics in the scale and shift of a norm over groups."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from normlab import convert_norms
from normlab.testing import relative_error


def trained(channels: int = 12) -> nn.Sequential:
    generator = torch.Generator().manual_seed(3)
    norm = nn.BatchNorm2d(channels, eps=1e-3)
    for tensor, low, high in (
        (norm.weight, 0.2, 2.0),
        (norm.bias, -1.0, 1.0),
        (norm.running_mean, -4.0, 4.0),
        (norm.running_var, 0.1, 9.0),
    ):
        assert isinstance(tensor, Tensor)
        nn.init.uniform_(tensor, low, high, generator=generator)
    return nn.Sequential(norm).eval()


def with_statistics(mean: Tensor, variance: Tensor, samples: int = 3) -> Tensor:
    """Pictures whose planes have exactly these means and variances."""
    x = torch.randn(samples, len(mean), 8, 8, generator=torch.Generator().manual_seed(1))
    x = (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), correction=0, keepdim=True)
    return x * variance.sqrt()[:, None, None] + mean[:, None, None]


@pytest.mark.parametrize("norm", ["gn:groups=4", "gn:groups=1", "ln"])
def test_on_the_running_statistics_it_is_the_same_function(norm: str) -> None:
    network = trained()
    x = with_statistics(network[0].running_mean, network[0].running_var)
    expected = network(x)
    (layer,) = convert_norms(network, norm, absorb_statistics=True).layers
    assert relative_error(network(x), expected) < 2e-5
    assert "running statistics, in weight and bias" in layer.transferred


def test_without_it_the_function_is_another_one() -> None:
    network = trained()
    x = with_statistics(network[0].running_mean, network[0].running_var)
    expected, weight = network(x), network[0].weight
    convert_norms(network, "gn:groups=4")
    assert relative_error(network(x), expected) > 0.1
    assert network[0].weight is weight


@pytest.mark.parametrize("norm", ["in", "rms", "none"])
def test_norms_that_cannot_take_them_stay_as_they_were(norm: str) -> None:
    one, other = trained(), trained()
    convert_norms(one, norm, absorb_statistics=True)
    convert_norms(other, norm)
    x = torch.randn(2, 12, 8, 8)
    assert torch.equal(one(x), other(x))


def test_what_is_not_trained_stays_untrained_and_keeps_its_type() -> None:
    network = trained().double()
    network[0].weight.requires_grad_(False)
    convert_norms(network, "gn:groups=4", absorb_statistics=True)
    assert not network[0].weight.requires_grad
    assert network[0].bias.requires_grad
    assert network[0].weight.dtype == torch.float64
