"""Norms of signals, volumes, tokens and images with channels last, converted."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import normlab
from normlab.errors import UsageError
from normlab.norms.functional.layout import as_planes, from_planes
from normlab.norms.spec import make_norm

SHAPES = {
    "channels last": [(4, 8), (4, 7, 8), (4, 5, 6, 8), (4, 2, 3, 5, 8)],
    "channels first": [(4, 8), (4, 8, 7), (4, 8, 5, 6), (4, 8, 2, 3, 5)],
}
CASES = [(layout, shape) for layout, shapes in SHAPES.items() for shape in shapes]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 2 + 1


@pytest.mark.parametrize(("layout", "shape"), CASES)
def test_planes_are_the_channels_of_a_sample(layout: Any, shape: tuple[int, ...]) -> None:
    x = draw(*shape)
    planes = as_planes(x, layout)
    first = x.movedim(-1, 1) if layout == "channels last" else x
    assert torch.equal(planes.flatten(2), first.reshape(4, 8, -1))
    assert torch.equal(from_planes(planes, x, layout), x)


def torch_norm(kind: str, rank: int) -> nn.Module:
    made = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
    plain = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}
    if kind == "gn":
        return nn.GroupNorm(4, 8)
    return made[rank](8) if kind == "bn" else plain[rank](8, affine=True)


@pytest.mark.parametrize("shape", SHAPES["channels first"])
@pytest.mark.parametrize("norm", ["bn", "torch-bn", "in", "gn:groups=4"])
def test_a_conversion_within_a_scheme_changes_nothing(norm: str, shape: tuple[int, ...]) -> None:
    if norm == "in" and len(shape) == 2:
        pytest.skip("an instance of one value has no variance")
    kind = norm.removeprefix("torch-").partition(":")[0]
    model = nn.Sequential(torch_norm(kind, len(shape)))
    expected = copy.deepcopy(model)
    conversion = normlab.convert_norms(model, norm)
    assert len(conversion.layers) == 1
    x, same = draw(*shape).requires_grad_(), draw(*shape).requires_grad_()
    for one, other in ((model, expected), (model.eval(), expected.eval())):
        y, z = one(x), other(same)
        torch.testing.assert_close(y, z, rtol=1e-4, atol=1e-5)
        y.pow(3).sum().backward()
        z.pow(3).sum().backward()
        torch.testing.assert_close(x.grad, same.grad, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shape", SHAPES["channels last"])
@pytest.mark.parametrize(("norm", "own"), [("ln:axes=c", nn.LayerNorm), ("rms:axes=c", nn.RMSNorm)])
def test_token_norms_of_torch(norm: str, own: Any, shape: tuple[int, ...]) -> None:
    model = nn.Sequential(own(8))
    expected = copy.deepcopy(model)
    normlab.convert_norms(model, norm)
    torch.testing.assert_close(model(draw(*shape)), expected(draw(*shape)))


@pytest.mark.parametrize("norm", ["bn", "in", "bin", "ln", "gn:groups=4", "brn", "frn", "dyt"])
def test_tokens_are_normalized_as_the_pixels_of_an_image_are(norm: str) -> None:
    model = normlab.convert_norms(nn.Sequential(nn.LayerNorm(8)), norm).model
    x = draw(4, 6, 8)
    alone = make_norm(norm, 8)
    alone.eps = model[0].eps
    expected = alone(x.transpose(1, 2)[..., None])[..., 0].transpose(1, 2)
    torch.testing.assert_close(model(x), expected)
    added = model(x, residual=x, activation="relu") if callable(getattr(model, "norm", None)) else 0
    assert added == 0
    fused = model[0](x, residual=x, activation="relu")
    assert fused.shape == x.shape


def test_the_report_says_what_the_layer_takes() -> None:
    conversion = normlab.convert_norms(nn.Sequential(nn.LayerNorm(8)), "bn")
    assert "channels last" in conversion.layers[0].notes


def test_a_norm_for_each_value_is_named() -> None:
    conversion = normlab.convert_norms(nn.Sequential(nn.LayerNorm((8, 4, 4))), "bn")
    assert conversion.missed == (
        ("0", "LayerNorm is made for the size (8, 4, 4) and has a scale for each of its values"),
    )


def test_a_transformer_layer_of_torch_is_named() -> None:
    """In evaluation it would compute layer normalization with the other norm's scale."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    conversion = normlab.convert_norms(nn.Sequential(layer), "bn")
    assert [name for name, _ in conversion.missed] == ["0.norm1", "0.norm2"]
    assert "in evaluation" in conversion.missed[0][1]


def test_a_norm_of_somebody_that_takes_images_alone_is_refused_by_name() -> None:
    info = normlab.NormInfo("own4d", "", "", "", {}, 0, lambda channels: Own())
    from normlab.norms.registry import temporary_norms

    with temporary_norms():
        normlab.register(info)
        with pytest.raises(UsageError, match=r"layer 0 .* Own takes \(N, C, H, W\) alone"):
            normlab.convert_norms(nn.Sequential(nn.LayerNorm(8)), "own4d")


class Own(nn.Module):
    def forward(self, x: Tensor, residual: Tensor | None = None, activation: str = "none"):
        return x


def test_precise_statistics_of_tokens() -> None:
    model = normlab.convert_norms(nn.Sequential(nn.LayerNorm(8)), "bn").model
    x = draw(4, 6, 8)
    normlab.precise_statistics(model, [x])
    torch.testing.assert_close(model[0].running_mean, x.mean((0, 1)))


def test_a_convolutional_network_over_volumes() -> None:
    def block(before: int, after: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv3d(before, after, 3, padding=1), nn.BatchNorm3d(after), nn.ReLU()
        )

    model = nn.Sequential(block(1, 8), block(8, 12), nn.InstanceNorm3d(12, affine=True))
    conversion = normlab.convert_norms(model, "gn:groups=8~")
    assert len(conversion.layers) == 3
    assert not conversion.missed
    assert [layer.notes[0] for layer in conversion.layers] == ["8 groups", "6 groups", "6 groups"]
    assert model(draw(2, 1, 4, 6, 6)).shape == (2, 12, 4, 6, 6)


def test_groups_that_fit_anything() -> None:
    model = nn.Sequential(nn.BatchNorm2d(12), nn.BatchNorm2d(48))
    by_channels = normlab.convert_norms(copy.deepcopy(model), "gn:channels=6")
    assert [m.num_groups for m in by_channels.model] == [2, 8]
    assert by_channels.spec == "gn:channels=6"
    nearest = normlab.convert_norms(copy.deepcopy(model), "gn:groups=8~")
    assert [m.num_groups for m in nearest.model] == [6, 8]
    assert "6 groups" in str(nearest)
    for spec in ("gn", "gn:channels=16"):
        with pytest.raises(UsageError, match=r"groups=8~.*") as caught:
            normlab.convert_norms(copy.deepcopy(model), spec)
        assert "channels=16" in str(caught.value)
    with pytest.raises(UsageError, match="groups of gn takes an integer"):
        make_norm("gn:groups=x~", 8)
