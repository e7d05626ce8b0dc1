"""Two objects before one background are not one photograph; what a copy is depends on the set."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from normlab.data.duplicates import raster, verification
from normlab.data.duplicates.decision import LEAST, WORST, duplicate_pairs, limit
from normlab.data.duplicates.raster import Steps, descended
from normlab.data.duplicates.shapes import shapes_of
from normlab.data.duplicates.verification import Verification, verify
from normlab.norms.fused.cpu.build import PAIRS
from normlab.norms.fused.cpu.loader import has_operators

SIDE = 64
SAME = torch.eye(2, 3)[None]
SQUARES = shapes_of(np.full((2, 2), 128))


def wall(seed: int = 0) -> np.ndarray:
    """A textured background in three channels."""
    generator = np.random.default_rng(seed)
    coarse = torch.from_numpy(generator.uniform(60, 200, (1, 3, 12, 12)))
    fine = torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic")
    return fine[0].permute(1, 2, 0).numpy()


def shown(*pictures: np.ndarray, affine: torch.Tensor = SAME) -> Verification:
    """The first two pictures, with noise of their own, compared."""
    generator = np.random.default_rng(9)
    noisy = [picture + generator.normal(0, 2, picture.shape) for picture in pictures]
    images = np.stack(noisy).clip(0, 255).astype(np.uint8)
    valid = torch.ones(2, 32, 32, dtype=torch.bool)
    one, two = torch.tensor([0]), torch.tensor([1])
    return verify((images, np.arange(2)), valid, SQUARES, one, two, affine)


def with_square(picture: np.ndarray, place: int, colour: int, side: int = 8) -> np.ndarray:
    picture = picture.copy()
    picture[place : place + side, place : place + side] = colour
    return picture


def test_a_copy_agrees_everywhere() -> None:
    brighter = (wall() * 1.15 + 4).clip(0, 255)
    for found in (shown(wall(), wall()), shown(wall(), brighter)):
        assert found.worst.item() < 1
        assert found.agreement.item() > 0.95
        assert found.detail.item() > 20
        assert duplicate_pairs(*numbers(found)).all()


def numbers(found: Verification) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return found.worst.numpy(), found.agreement.numpy(), found.detail.numpy(), np.array([[0, 1]])


@pytest.mark.parametrize("place", [0, 28, 56])
def test_another_object_before_the_same_wall(place: int) -> None:
    """One window in 64 is enough, in a corner too."""
    found = shown(wall(), with_square(wall(), place, 20))
    assert found.agreement.item() > 0.9  # the background hides it from any average
    assert found.worst.item() > 3 * WORST
    assert not duplicate_pairs(*numbers(found)).any()


def test_an_object_that_moved_by_two_pixels() -> None:
    found = shown(with_square(wall(), 24, 20, 14), with_square(wall(), 26, 20, 14))
    assert found.worst.item() > 2 * WORST


def test_plain_walls_show_nothing_that_could_agree() -> None:
    found = shown(np.full((SIDE, SIDE, 3), 120.0), np.full((SIDE, SIDE, 3), 121.0))
    assert found.worst.item() < 1
    assert found.detail.item() < 1
    assert not duplicate_pairs(*numbers(found)).any()


def test_a_straight_edge_agrees_with_any_other() -> None:
    """Two half planes tell nothing of each other; with a corner they do."""
    y, x = np.mgrid[:SIDE, :SIDE]
    edge = np.where(x + 0.6 * y < 45, 200.0, 30.0)[..., None].repeat(3, 2)
    found = shown(edge, edge)
    assert found.worst.item() < 1
    assert found.detail.item() == 0
    corner = np.where((x < 30) & (y < 40), 200.0, 30.0)[..., None].repeat(3, 2)
    assert shown(corner, corner).detail.item() > 3


def test_a_map_that_leaves_nothing_to_compare() -> None:
    away = torch.tensor([[[1.0, 0.0, 3.0], [0.0, 1.0, 0.0]]])
    found = shown(wall(), wall(), affine=away)
    assert found.worst.item() == np.inf
    assert found.score.item() == 0


def test_a_softer_copy_and_a_softer_other_picture() -> None:
    """Half the size and back: what is lost is lost in the other one, too; an object is not."""
    small = torch.from_numpy(wall(3)).permute(2, 0, 1)[None]
    half = torch.nn.functional.interpolate(small, size=(24, 24), mode="area")
    soft = torch.nn.functional.interpolate(half, size=(SIDE, SIDE), mode="bicubic")
    picture = soft[0].permute(1, 2, 0).numpy()
    assert duplicate_pairs(*numbers(shown(wall(3), picture))).all()
    other = shown(with_square(wall(3), 28, 20, 12), picture)
    assert other.worst.item() > 3 * WORST


def test_a_map_that_went_astray_at_32_pixels() -> None:
    """A shear that is none is found without the shear."""
    sheared = torch.tensor([[[1.03, 0.06, 0.01], [-0.05, 0.95, 0.02]]])
    assert shown(wall(5), wall(5), affine=sheared).worst.item() < 2


def test_no_pairs() -> None:
    none = torch.zeros(0, dtype=torch.long)
    images = np.zeros((0, SIDE, SIDE, 3), np.uint8)
    valid = torch.ones(0, 32, 32, dtype=torch.bool)
    found = verify((images, np.arange(0)), valid, SQUARES, none, none, torch.zeros(0, 2, 3))
    assert len(found.worst) == 0


def test_the_limit_follows_the_data_set() -> None:
    """Where rejected pairs come close to the limit, it is lowered; birds leave it as it is."""
    copies = np.full(100, 0.5)
    far = np.exp(np.linspace(np.log(40), np.log(900), 200))
    close = np.exp(np.linspace(np.log(7), np.log(60), 900))
    assert limit(copies) == limit(np.concatenate([copies, far])) == WORST
    assert LEAST <= limit(np.concatenate([copies, close])) < 3
    assert limit(np.concatenate([copies, [np.inf] * 50])) == WORST


def test_a_lower_limit_is_for_images_that_have_rejected_pairs_of_their_own() -> None:
    """Two hundred bricks that look alike, and two pairs of other photographs."""
    generator = np.random.default_rng(0)
    bricks = generator.integers(0, 200, (900, 2))
    pairs = np.concatenate([bricks, [[0, 1], [300, 301], [302, 303]]])
    worst = np.concatenate([np.linspace(8, 60, 900), [5.0, 5.0, 7.0]])
    found = duplicate_pairs(worst, np.full(903, 0.99), np.full(903, 30.0), pairs)
    assert limit(worst) < 4
    assert found[-3:].tolist() == [False, True, False]
    assert not found[:-3].any()


def without_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (raster, verification):
        monkeypatch.setattr(module, "has_operators", lambda kernel: False)


@pytest.mark.skipif(not has_operators(PAIRS), reason="there is no C++ compiler")
@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize("side", [32, 64])
def test_the_kernel_descends_as_the_operations_do(
    side: int, robust: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(side)
    rough = torch.randn(9, 1, side // 4, side // 4, generator=generator)
    moving = torch.nn.functional.interpolate(rough, size=(side, side), mode="bicubic")
    seen = (torch.rand(9, side, side, generator=generator) > 0.1).float()
    pair = torch.cat([moving, seen[:, None]], 1), moving[:, 0].roll(1, 2)
    start = torch.eye(2, 3).repeat(9, 1, 1) + 0.02 * torch.randn(9, 2, 3, generator=generator)
    steps = Steps(4, 0.1, robust)
    found = descended(*pair, seen, start, steps)
    without_kernel(monkeypatch)
    assert torch.allclose(found, descended(*pair, seen, start, steps), atol=1e-4)
    assert (found - start).abs().max() > 0.02


@pytest.mark.skipif(not has_operators(PAIRS), reason="there is no C++ compiler")
@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_the_kernel_compares_as_the_operations_do(
    angle: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zoomed, turned, softer, brighter than white, over the border, and oblong."""
    soft = torch.nn.functional.avg_pool2d(torch.from_numpy(wall(2)).permute(2, 0, 1), 5, 1, 2)
    soft = soft.permute(1, 2, 0).numpy()
    cosine, sine = 0.85 * np.cos(angle), 0.85 * np.sin(angle)
    affine = torch.tensor([[[cosine, -sine, 0.1], [sine, cosine, -0.2]]], dtype=torch.float32)
    shapes = shapes_of(np.array([[40, 60], [90, 50]]))
    pictures = np.stack([soft, wall(2) * 1.6]).clip(0, 255).astype(np.uint8)
    valid = torch.ones(2, 32, 32, dtype=torch.bool)
    valid[1, :6, :6] = False
    pair = torch.tensor([0]), torch.tensor([1])
    found = verify((pictures, np.arange(2)), valid, shapes, *pair, affine)
    without_kernel(monkeypatch)
    other = verify((pictures, np.arange(2)), valid, shapes, *pair, affine)
    for name in ("affine", "worst", "agreement", "detail"):
        one, two = getattr(found, name), getattr(other, name)
        assert torch.allclose(one, two, rtol=1e-3, atol=1e-3), name
