"""The measures on cases whose answer is known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from normlab.explain.arms import choose_arms
from normlab.explain.faithfulness import (
    border_area,
    border_share,
    curve_areas,
    measure,
    pixel_ranks,
)
from normlab.explain.gallery import GalleryOptions, make_gallery
from normlab.explain.sanity import mean_rank_correlation


class LooksAtTheCorner(nn.Module):
    """The logit of class 1 is the brightness of the 4×4 pixels at the upper left."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score = 8 * x[:, :, :4, :4].mean((1, 2, 3)) - 4
        return torch.stack([torch.zeros_like(score), score], 1)


def test_the_pixels_that_matter_beat_all_others() -> None:
    picture = np.zeros((1, 16, 16, 3), np.uint8)
    picture[:, :4, :4] = 255
    predictor = SimpleNamespace(network=LooksAtTheCorner(), mean=torch.zeros(3), std=torch.ones(3))
    true_map = picture[..., 0] / 255.0
    deletion, insertion = curve_areas(predictor, picture, true_map, (1,))
    worst_deletion, worst_insertion = curve_areas(predictor, picture, 1 - true_map, (1,))
    # One step of sixteen holds the whole corner: σ(4) before it, σ(−4) after it.
    high, low = 1 / (1 + np.exp(-4)), 1 / (1 + np.exp(4))
    assert deletion[0] == pytest.approx((high + low) / 32 + low * 15 / 16, abs=1e-6)
    assert worst_deletion[0] == pytest.approx((high + low) / 32 + high * 15 / 16, abs=1e-6)
    assert insertion[0] > 0.95
    assert worst_insertion[0] < insertion[0]  # what is blurred is not gone


def test_ranks() -> None:
    values = np.array([[0.0, 3.0], [1.0, 0.0]])
    ranks = pixel_ranks(values, [0])
    assert ranks[0, 1] == 0
    assert ranks[1, 0] == 1
    assert sorted(ranks.ravel()) == [0, 1, 2, 3]
    assert len({tuple(pixel_ranks(np.zeros((4, 4)), [s]).ravel()) for s in range(5)}) == 5


def test_border() -> None:
    assert border_area(16) == pytest.approx(1 - (12 / 16) ** 2)
    assert border_share(np.ones((2, 16, 16))) == pytest.approx(border_area(16))
    centre = np.zeros((1, 16, 16))
    centre[:, 8, 8] = 1
    assert border_share(centre) == 0
    assert border_share(np.zeros((1, 16, 16))) is None


def test_rank_correlation() -> None:
    maps = np.random.default_rng(0).random((2, 8, 8))
    assert mean_rank_correlation(maps, maps**3) == pytest.approx(1)
    assert mean_rank_correlation(maps, -maps) == pytest.approx(-1)
    assert mean_rank_correlation(maps, np.zeros_like(maps)) is None


def test_measure(study) -> None:
    runs = choose_arms(study.folder)
    gallery = make_gallery(runs, study.load_data(), GalleryOptions(images=2))
    found = measure(gallery, gallery.arms[0])
    assert [row["order"] for row in found["rows"]] == ["Grad-CAM", "random", "edges"]
    assert all(0 <= row["deletion"] <= 1 for row in found["rows"])
    assert list(found["randomized"]) == ["classifier", "stages.2", "stages.1", "stages.0", "stem"]
    assert found == measure(gallery, gallery.arms[0])
