"""What a layer's statistics run over, against counts by hand and against what the layer does."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from normlab.networks.statistics import UNKNOWN, statistics_of
from normlab.norms.spec import make_norm, norm_names

SHAPE = (8, 16, 6, 4)


@pytest.mark.parametrize(
    ("norm", "over", "values", "standardizes"),
    [
        ("bn", "batch", 8 * 24, True),
        ("torch-bn", "batch", 8 * 24, True),
        ("bn:virtual_batch=2", "batch", 2 * 24, True),
        ("bn:frozen=true", "nothing", None, False),
        ("bin:gate=0", "batch", 8 * 24, False),
        ("ibn", "batch", 8 * 24, False),
        ("sn", "batch", 8 * 24, False),
        ("brn", "batch", 8 * 24, False),
        ("in", "instance", 24, True),
        ("gn:groups=4", "group", 4 * 24, True),
        ("gn:groups=1", "layer", 16 * 24, True),
        ("ln", "layer", 16 * 24, True),
        ("ln:axes=c", "pixel", 16, True),
        ("rms", "layer", 16 * 24, False),
        ("frn", "instance", 24, False),
        ("dyt", "nothing", None, False),
        ("none", "nothing", None, False),
        ("none:init=skipinit", "nothing", None, False),
    ],
)
def test_counts_by_hand(norm: str, over: str, values: int | None, standardizes: bool) -> None:
    found = statistics_of(make_norm(norm, 16), SHAPE)
    assert (found.over, found.values, found.standardizes) == (over, values, standardizes)


@pytest.mark.parametrize("norm", norm_names())
def test_over_the_batch_is_what_changes_with_the_other_images(norm: str) -> None:
    layer = make_norm(norm, 16).double()
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    alone, together = layer(x[:1]), layer(x)[:1]
    over = statistics_of(make_norm(norm, 16), SHAPE).over
    assert torch.allclose(alone, together) == (over != "batch")


def test_of_one_image_the_batch_is_seen_too() -> None:
    assert statistics_of(nn.BatchNorm2d(4), (1, 4, 3, 3)).values == 9
    assert statistics_of(nn.BatchNorm2d(4), (1, 4, 3, 3)).over == "batch"
    assert statistics_of(nn.BatchNorm2d(4).eval(), (1, 4, 3, 3)).over == "nothing"


def test_a_layer_of_ones_own_needs_no_name() -> None:
    class Own(nn.Module):
        """Batch normalization without parameters."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x - x.mean((0, 2, 3), keepdim=True)

    found = statistics_of(Own(), SHAPE)
    assert (found.over, found.values, found.standardizes) == ("batch", 8 * 24, False)


def test_a_scale_of_zero_hides_nothing() -> None:
    layer = nn.BatchNorm2d(16)
    nn.init.zeros_(layer.weight)
    assert statistics_of(layer, SHAPE).over == "batch"
    assert not layer.weight.any()


def test_a_layer_for_one_size_is_asked_in_that_size() -> None:
    assert statistics_of(nn.LayerNorm((16, 6, 4)), SHAPE).over == "layer"


def test_what_cannot_be_asked_is_unknown() -> None:
    class Conditional(nn.Module):
        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return x * labels

    assert statistics_of(Conditional(), SHAPE) == UNKNOWN


def test_nothing_is_changed() -> None:
    layer = nn.BatchNorm2d(16)
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    state = torch.random.get_rng_state()
    statistics_of(layer, SHAPE)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(layer.state_dict()[name], tensor) for name, tensor in before.items())
