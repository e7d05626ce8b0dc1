"""Small folders of made pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def write_picture(path: Path, seed: int, size: tuple[int, int] = (12, 10), **options) -> None:
    """A picture of noise, the same for the same seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)


@pytest.fixture
def picture() -> Callable[..., None]:
    return write_picture


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of eight pictures."""
    for label in range(2):
        for number in range(8):
            name = f"{'cats' if label else 'dogs'}/{number}.png"
            write_picture(tmp_path / "photos" / name, 100 * label + number)
    return tmp_path / "photos"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache for each test."""
    monkeypatch.setenv("NORMLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
