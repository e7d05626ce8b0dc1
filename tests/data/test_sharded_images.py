"""Prepared images in several files: one array to whoever reads them, the same bytes as in one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from normlab.data import cached_images, prepare, read_images, sharded_images
from normlab.data.dataset import Dataset, load_data
from normlab.data.device import upload
from normlab.data.load import block_data
from normlab.data.sharded_images import ShardedImages, file_names, images_a_file
from normlab.data.sources.files import FileSource
from normlab.errors import DataError, StorageError
from normlab.records.run import DataSpec, RunSpec

SHAPE = (11, 2, 2, 3)
PIXELS = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four images of 2 px (or one of 8 px) a file."""
    monkeypatch.setattr(sharded_images, "FILE_BYTES", 4 * 12)
    monkeypatch.setattr(sharded_images, "WHOLE", 4)
    monkeypatch.setattr(cached_images, "SHARD", 4)


@pytest.fixture
def sharded(small_files: None) -> ShardedImages:
    return ShardedImages(SHAPE, lambda k: PIXELS[4 * k : 4 * k + 4].copy())


def test_how_many_files_there_are(small_files: None) -> None:
    assert images_a_file(SHAPE) == 4
    assert file_names(SHAPE) == ["images-00000", "images-00001", "images-00002"]
    assert file_names((4, 2, 2, 3)) == ["images"]


@pytest.mark.parametrize(
    "index",
    [0, -1, np.int64(7), slice(None), slice(1, 3), slice(3, 9), slice(8, 99), slice(5, 5),
     slice(20, 30), slice(None, None, 3), slice(9, 1, -2), np.array([10, 0, 4, 4]),
     np.array([], int), [3, -1], PIXELS[:, 0, 0, 0] > 99, (5, 1), (slice(2, 6), 0),
     (slice(5, 6), 0), (np.array([9, 1]), slice(None), 0)],
)  # fmt: skip
def test_every_index_gives_what_one_array_gives(sharded: ShardedImages, index) -> None:
    np.testing.assert_array_equal(sharded[index], PIXELS[index])
    assert sharded[index].shape == PIXELS[index].shape


def test_it_is_an_array_to_numpy(sharded: ShardedImages) -> None:
    np.testing.assert_array_equal(np.asarray(sharded), PIXELS)
    assert (len(sharded), sharded.shape, sharded.nbytes) == (11, SHAPE, PIXELS.nbytes)
    with pytest.raises(IndexError):
        sharded[11]
    with pytest.raises(IndexError):
        sharded[np.array([11])]


def test_a_file_is_opened_when_it_is_needed(small_files: None) -> None:
    opened = []
    images = ShardedImages(SHAPE, lambda k: opened.append(k) or PIXELS[4 * k : 4 * k + 4])
    images[5], images[4:8], images[np.array([6, 7])]
    assert opened == [1]


def test_what_is_written_across_files(sharded: ShardedImages) -> None:
    sharded[2:9] = PIXELS[:7]
    np.testing.assert_array_equal(sharded[2:9], PIXELS[:7])
    np.testing.assert_array_equal(sharded[9:], PIXELS[9:])


def spec(data: Dataset) -> RunSpec:
    shape = DataSpec(fingerprint="f", classes=data.manifest.classes, image_size=8)
    return RunSpec(arm="bn", block=0, norm="bn", batch_size=3, data=shape)


@pytest.mark.parametrize("broken", [False, True], ids=["all readable", "one unreadable"])
def test_a_sharded_entry_holds_the_bytes_of_a_whole_one(
    photos: Path, cache: Path, monkeypatch, broken: bool
) -> None:
    if broken:
        (photos / "cats" / "bad.png").write_text("text")
    whole = load_data(str(photos), 8, cache=cache.with_name("whole"))
    monkeypatch.setattr(sharded_images, "FILE_BYTES", 4 * 192)
    monkeypatch.setattr(sharded_images, "WHOLE", 4)
    monkeypatch.setattr(cached_images, "SHARD", 4)
    monkeypatch.setattr(prepare, "CHUNK", 4)
    data = load_data(str(photos), 8)
    files = sorted(path.name for path in cache.glob("images/*/*.u8"))
    assert files == [f"images-0000{k}.u8" for k in range(4)]
    assert isinstance(data.images, ShardedImages)
    np.testing.assert_array_equal(np.asarray(data.images), whole.images)
    np.testing.assert_array_equal(data.pixel_sums, whole.pixel_sums)
    assert data.manifest.fingerprint == whole.manifest.fingerprint
    for own, other in zip(
        block_data(data, spec(data)).train_batches(1),
        block_data(whole, spec(whole)).train_batches(1),
        strict=True,
    ):
        assert own[0].equal(other[0])
    np.testing.assert_array_equal(upload(data.images, "cpu", at_once=5), whole.images)

    (path,) = cache.glob("images/*/images-00002.u8")
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    changed = load_data(str(photos), 8)
    np.testing.assert_array_equal(changed.images[:8], whole.images[:8])
    with pytest.raises(StorageError, match="changed after they were written"):
        changed.images[8]
    path.unlink()
    np.testing.assert_array_equal(np.asarray(load_data(str(photos), 8).images), whole.images)


def test_what_was_never_read_is_read_once(photos: Path, monkeypatch) -> None:
    read = []
    original = FileSource.read
    monkeypatch.setattr(
        FileSource, "read", lambda self, name: read.append(name) or original(self, name)
    )
    data = load_data(str(photos), 8)
    first, names = read[0], sorted(data.manifest.names)
    read.remove(first)  # whose header says how large the images are
    assert sorted(read) == names
    read.clear()
    load_data(str(photos), 8)
    assert read == []
    load_data(str(photos), 16)
    read.remove(first)
    assert sorted(read) == names


def test_data_that_change_while_they_are_read(
    photos: Path, picture, cache: Path, monkeypatch
) -> None:
    load_data(str(photos), 8)
    status = (photos / "cats" / "3.png").stat()
    content = (photos / "dogs" / "3.png").read_bytes()
    (photos / "cats" / "3.png").write_bytes(content.ljust(status.st_size, b"\0")[: status.st_size])
    os.utime(photos / "cats" / "3.png", ns=(status.st_atime_ns, status.st_mtime_ns))
    monkeypatch.setattr(
        "normlab.data.scan.known_hashes", lambda source, cache: ["0" * 64] * len(source.items())
    )
    with pytest.raises(DataError, match="was changed while it was read; run the command again"):
        load_data(str(photos), 16)
    assert not list(cache.glob("images/*.partial"))


def test_sums_are_exact() -> None:
    images = np.full((3, 40, 40, 3), 255, np.uint8)
    images[1] = np.random.default_rng(1).integers(0, 256, (40, 40, 3))
    sums, squares = read_images.sums_of(images)
    wide = images.astype(np.int64)
    np.testing.assert_array_equal(sums, wide.sum((1, 2)))
    np.testing.assert_array_equal(squares, (wide**2).sum((1, 2)))
