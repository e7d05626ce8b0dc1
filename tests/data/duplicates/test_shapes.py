"""Pictures that are no squares, squashed to one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from normlab.data.duplicates.search_pairs import find_duplicates
from normlab.data.duplicates.shapes import shapes_of, squared_map, true_map, turn_and_zoom


def maps(count: int) -> torch.Tensor:
    return torch.randn(count, 2, 3, generator=torch.Generator().manual_seed(2))


def test_there_and_back() -> None:
    one, two = shapes_of(np.array([[160, 90], [60, 80]])), shapes_of(np.array([[64, 64], [30, 40]]))
    back = squared_map(true_map(maps(2), one, two), one, two)
    torch.testing.assert_close(back, maps(2))
    assert one.squash.tolist() == [[90 / 160, 1.0], [1.0, 60 / 80]]
    assert one.oblong.all()
    assert two.oblong.tolist() == [False, True]
    assert two.noise.tolist() == pytest.approx([1.0, 2.0])


@pytest.mark.parametrize("mirrored", [1.0, -1.0])
def test_a_turn_and_a_zoom_stay_what_they_are(mirrored: float) -> None:
    cosine, sine = 0.8 * math.cos(0.7), 0.8 * math.sin(0.7)
    kept = torch.tensor([[[mirrored * cosine, -sine, 0.1], [mirrored * sine, cosine, -0.2]]])
    torch.testing.assert_close(turn_and_zoom(kept), kept)
    astray = kept + torch.tensor([[[0.05, 0.0, 0.0], [0.0, -0.05, 0.0]]])
    square = turn_and_zoom(astray)[0, :, :2]
    product = square @ square.T
    torch.testing.assert_close(product, product[0, 0] * torch.eye(2))


@pytest.mark.slow
def test_a_picture_turned_in_its_oblong_frame() -> None:
    """Squashed, a turned copy is sheared; with the sizes it is turned."""
    generator = np.random.default_rng(0)
    pictures = [
        Image.fromarray(generator.integers(0, 256, (9, 6, 3), dtype=np.uint8)).resize(
            (120, 200), Image.Resampling.BICUBIC
        )
        for _ in range(24)
    ]
    copies = [picture.rotate(75, Image.Resampling.BICUBIC) for picture in pictures[:8]]
    every = [*pictures, *copies]
    images = np.stack([np.asarray(one.resize((64, 64), reducing_gap=3.0)) for one in every])
    sizes = np.array([one.size for one in every])
    hashes = [str(row) for row in range(len(images))]
    found = find_duplicates(images, hashes, sizes=sizes)
    expected = {(row, 24 + row) for row in range(8)}
    assert set(map(tuple, found.pairs[found.certain].tolist())) == expected
    blind = find_duplicates(images, hashes)
    assert len(blind.pairs[blind.certain]) < 4
