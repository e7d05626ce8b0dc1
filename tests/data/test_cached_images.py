"""Prepared images are checked: at once where they are few, by shards where they are many."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from normlab.data import cached_images
from normlab.data.cached_images import SHARD, open_images, shard_checksums
from normlab.errors import StorageError

SHAPE = (2 * SHARD + 10, 2, 2, 3)


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, np.ndarray, list[int]]:
    pixels = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    (tmp_path / "images.u8").write_bytes(pixels.tobytes())
    return tmp_path / "images.u8", pixels, shard_checksums(pixels)


def flip(path: Path, image: int) -> None:
    content = bytearray(path.read_bytes())
    content[image * 12] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("image", [0, SHARD, SHAPE[0] - 1])
def test_few_are_checked_when_they_are_opened(written, image: int) -> None:
    path, pixels, checksums = written
    np.testing.assert_array_equal(open_images(path.parent, SHAPE, checksums), pixels)
    flip(path, image)
    assert open_images(path.parent, SHAPE, checksums) is None
    assert open_images(path.parent, SHAPE, checksums[:-1]) is None


@pytest.mark.parametrize(
    "index",
    [SHARD + 3, slice(SHARD - 1, SHARD + 1), np.array([0, SHARD + 9]), (SHARD, 0),
     np.arange(SHAPE[0]) == SHARD],
    ids=["number", "slice", "numbers", "tuple", "mask"],
)  # fmt: skip
def test_many_are_checked_while_they_are_read(written, monkeypatch, index) -> None:
    path, pixels, checksums = written
    monkeypatch.setattr(cached_images, "CHECKED_AT_ONCE", 0)
    np.testing.assert_array_equal(open_images(path.parent, SHAPE, checksums)[index], pixels[index])
    flip(path, SHARD + 100)
    images = open_images(path.parent, SHAPE, checksums)
    np.testing.assert_array_equal(images[:SHARD], pixels[:SHARD])
    np.testing.assert_array_equal(images[-10:], pixels[-10:])
    with pytest.raises(StorageError, match=r"images 256 to 511 differs\); delete this folder"):
        images[index]


def test_a_shard_is_checked_once(written, monkeypatch) -> None:
    path, _, checksums = written
    monkeypatch.setattr(cached_images, "CHECKED_AT_ONCE", 0)
    images = open_images(path.parent, SHAPE, checksums)
    calls = []
    monkeypatch.setattr(
        cached_images, "shard_checksum", lambda pixels: checksums[len(calls.append(1) or calls) - 1]
    )
    for _ in range(3):
        images[np.arange(SHAPE[0])]
    assert len(calls) == len(checksums)
