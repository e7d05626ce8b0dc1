"""Changes of images: what they keep, how they grow, and that draws depend on the image alone."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.errors import UnknownNameError
from normlab.explain.corruptions import change
from normlab.records.robustness import CORRUPTIONS


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Smooth pictures with an edge, away from black and white."""
    y, x = np.mgrid[:32, :32] / 31
    one = np.stack([90 + 60 * x, 140 - 50 * y, 110 + 40 * (x > 0.5)], 2)
    return np.stack([one, one[::-1], one[:, ::-1]]).round().astype(np.uint8)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b).mean())


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_change_keeps_form_and_grows(pixels, name) -> None:
    before = pixels.copy()
    changed = [change(pixels, name, level, seed=0) for level in range(1, 6)]
    for one in changed:
        assert one.shape == pixels.shape
        assert one.dtype == np.uint8
    far = [distance(one, pixels) for one in changed]
    assert far[0] > 0
    assert far == sorted(far)
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_parts_draw_as_the_whole(pixels, name) -> None:
    whole = change(pixels, name, 3, seed=7)
    parts = [change(pixels[:1], name, 3, seed=7), change(pixels[1:], name, 3, seed=7, first=1)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("name", ["noise", "colour cast", "rotation"])
def test_the_seed_and_the_image_decide_the_draw(name) -> None:
    random = np.random.default_rng(0)
    same = np.repeat(random.integers(60, 200, (1, 16, 16, 3)).astype(np.uint8), 12, axis=0)
    first = change(same, name, 4, seed=1)
    assert any(not np.array_equal(first[0], other) for other in first[1:])
    assert not np.array_equal(first, change(same, name, 4, seed=2))


def test_contrast_by_hand() -> None:
    picture = np.zeros((1, 2, 2, 3), np.uint8)
    picture[0, 0] = 200  # mean 100
    assert change(picture, "contrast", 2, 0)[0, :, 0, 0].tolist() == [150, 50]


def test_brightness_by_hand() -> None:
    picture = np.full((1, 2, 2, 3), 240, np.uint8)
    assert change(picture, "brightness", 5, 0).max() == 255
    assert change(picture // 4, "brightness", 2, 0)[0, 0, 0, 0] == 60 + 51


def test_noise_has_the_sd_it_says() -> None:
    grey = np.full((4, 64, 64, 3), 128, np.uint8)
    noisy = change(grey, "noise", 2, 0).astype(float)
    assert noisy.std() == pytest.approx(255 * 0.08, rel=0.03)
    assert noisy.mean() == pytest.approx(128, abs=0.5)


def test_a_colour_cast_keeps_the_sum_of_the_channels() -> None:
    grey = np.full((5, 4, 4, 3), 128, np.uint8)
    cast = change(grey, "colour cast", 3, 0).astype(float)
    np.testing.assert_allclose(cast.sum(3), 3 * 128, atol=2)
    assert cast.std() > 10


def test_a_rotation_leaves_no_black_corner() -> None:
    white = np.full((3, 32, 32, 3), 250, np.uint8)
    assert change(white, "rotation", 5, 0).min() == 250


def test_an_unknown_change() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'contrast'"):
        change(np.zeros((1, 8, 8, 3), np.uint8), "contrasts", 1, 0)
