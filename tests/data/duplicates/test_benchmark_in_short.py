"""The benchmark of copies in short: windows of two photographs, and copies of every kind."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from normlab.data.decode import decode
from normlab.data.duplicates.search_pairs import find_duplicates

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.mark.slow
def test_copies_of_every_kind_are_found_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    from injected import KINDS, encoded

    tiles = [
        Image.fromarray(photo[top : top + 80, left : left + 106])
        for photo in load_sample_images().images
        for top in range(0, 347, 80)
        for left in range(0, 534, 106)
    ]
    tiles = [tile for tile in tiles if np.asarray(tile.convert("L"), float).std() > 20]
    assert len(tiles) >= 33
    random = Random(0)
    kinds = [kind for kind in KINDS for _ in range(3)]
    sources = random.sample(range(len(tiles)), len(kinds))
    copies = [KINDS[kind](tiles[row], random) for kind, row in zip(kinds, sources, strict=True)]
    every = [*tiles, *copies]
    images = np.array([decode(encoded(one), 64, "squash")[0] for one in every])
    found = find_duplicates(
        images, [str(row) for row in range(len(every))], sizes=np.array([one.size for one in every])
    )
    certain = set(map(tuple, found.pairs[found.certain].tolist()))
    true = {(row, len(tiles) + number) for number, row in enumerate(sources)}
    assert not certain - true
    assert len(certain & true) >= 0.93 * len(true)
