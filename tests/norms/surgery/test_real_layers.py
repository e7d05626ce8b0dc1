"""Layers of the real timm: what computes the same is converted to the same."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import normlab
from normlab.norms.surgery.recognize import view
from normlab.norms.surgery.with_activation import ActivatedNorm
from real_libraries import make_torchvision_importable

SAME = [
    ("FilterResponseNormTlu2d", {}, "frn", False),
    ("EvoNorm2dS0", {"groups": 4}, "evonorm-s0:groups=4", False),
    ("RmsNorm2d", {}, "rms:axes=c", False),
    ("RmsNorm", {}, "rms:axes=c", True),
    ("LayerNorm2d", {}, "ln:axes=c", False),
    ("LayerNorm", {}, "ln:axes=c", True),
    ("LayerNormAct", {}, "ln:axes=c", True),
    ("GroupNorm1", {}, "ln", False),
    ("GlobalResponseNorm", {}, "grn", True),
    ("BatchNormAct2d", {}, "bn", False),
    ("BatchNormAct2d", {}, "bin", False),
]


@pytest.fixture(scope="module")
def layers() -> Any:
    make_torchvision_importable()
    pytest.importorskip("timm", reason="timm is not installed")
    from timm import layers
    from timm.layers import grn, norm_act

    return [layers, norm_act, grn]


def made(layers: Any, name: str, options: dict[str, Any]) -> nn.Module:
    make = next(getattr(home, name) for home in layers if hasattr(home, name))
    layer: nn.Module = make(8, **options)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(0.5, 1.5, generator=generator)
    return layer


def draw(channels_last: bool) -> Tensor:
    x = torch.randn(4, 8, 5, 6, generator=torch.Generator().manual_seed(1))
    return x.permute(0, 2, 3, 1).contiguous() if channels_last else x


@pytest.mark.parametrize(("name", "options", "norm", "last"), SAME)
def test_the_same_is_the_same(name: str, options: Any, norm: str, last: bool, layers: Any) -> None:
    model = nn.Sequential(made(layers, name, options))
    expected = copy.deepcopy(model)
    conversion = normlab.convert_norms(model, norm)
    (row,) = conversion.layers
    assert not [note for note in row.notes if "another function" in note], row
    assert not [note for note in row.notes if "dropped" in note], row
    x = draw(last)
    torch.testing.assert_close(model(x), expected(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.eval()(x), expected.eval()(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "act"), [("FilterResponseNormTlu2d", nn.ReLU), ("EvoNorm2dS0", nn.SiLU)]
)
def test_an_activation_within_stays_in_the_network(name: str, act: Any, layers: Any) -> None:
    model = nn.Sequential(made(layers, name, {"groups": 4}))
    conversion = normlab.convert_norms(model, "bn")
    assert isinstance(model[0], ActivatedNorm)
    assert isinstance(model[0].act, act)
    assert f"its own activation became {act.__name__}" in conversion.layers[0].notes


def test_a_response_norm_stays_beside_the_others(layers: Any) -> None:
    model = nn.Sequential(made(layers, "GlobalResponseNorm", {}), made(layers, "LayerNorm", {}))
    conversion = normlab.convert_norms(model, "bn")
    assert [layer.names for layer in conversion.layers] == [("1",)]
    assert [name for name, _ in conversion.left] == ["0"]
    assert conversion.missed == ()


def test_names_that_others_use_for_other_things_are_not_taken() -> None:
    class LayerNorm(nn.Module):  # channels first, as in many a repository
        weight = nn.Parameter(torch.ones(8))

    class RmsNorm(LayerNorm):
        pass

    assert view(LayerNorm()) is None
    assert view(RmsNorm()) is None
