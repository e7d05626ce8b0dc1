"""Arrays of pixels in an .npz: the usual names of the keys, and one sentence for what is wrong."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from normlab.data.dataset import load_data, typical_size
from normlab.data.layout import Item
from normlab.data.sources import open_source
from normlab.data.sources.arrays import pnm
from normlab.errors import DataError

RANDOM = np.random.default_rng(0)
COLOUR = RANDOM.integers(0, 256, (9, 6, 8, 3), dtype=np.uint8)
GREY = RANDOM.integers(0, 256, (9, 6, 8), dtype=np.uint8)
LABELS = np.arange(9) % 3


def save(path: Path, compressed: bool = False, **arrays: object) -> Path:
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return path


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    return tmp_path / "a.npz"


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("images", [COLOUR, GREY, GREY[..., None], COLOUR.copy(order="F")])
def test_pixels_arrive_as_they_are(npz: Path, images: np.ndarray, compressed: bool) -> None:
    save(npz, compressed, images=images, labels=LABELS)
    source = open_source(str(npz))
    assert source.items()[4] == Item("4", "1")
    with Image.open(io.BytesIO(source.read("4"))) as picture:
        np.testing.assert_array_equal(np.asarray(picture), images[4].squeeze())
    expected = images[..., None] if images.ndim == 3 else images
    data = load_data(str(save(npz, images=expected[:, :, :6], labels=LABELS)), 6)
    np.testing.assert_array_equal(data.images, np.broadcast_to(expected[:, :, :6], (9, 6, 6, 3)))
    assert typical_size(str(npz)) == 6


def test_the_bytes_hold_the_shape() -> None:
    """Else two images of other shapes with the same pixels were copies of each other."""
    assert pnm(GREY[0]) == b"P5\n8 6\n255\n" + GREY[0].tobytes()
    assert pnm(COLOUR[0]) == b"P6\n8 6\n255\n" + COLOUR[0].tobytes()


@pytest.mark.parametrize(
    "keys",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("images_train", "targets_train", "images_test", "targets_test"),
    ],
)
def test_parts(npz: Path, keys: tuple[str, ...]) -> None:
    arrays = (COLOUR[:5], LABELS[:5, None], COLOUR[5:], LABELS[5:, None])
    save(npz, **dict(zip(keys, arrays, strict=True)), other=np.zeros(3))
    items = open_source(str(npz)).items()
    assert items[0] == Item("test/0", "2", "test")
    assert items[-1] == Item("train/4", "1", "train")
    assert len(items) == 9


def test_names_of_classes(npz: Path) -> None:
    names = np.array(["мухоловка", "b", "c"])
    save(npz, images=COLOUR, labels=LABELS, classes=names)
    by_number = open_source(str(npz)).items()
    assert [item.label for item in by_number] == names[LABELS].tolist()
    assert open_source(str(save(npz, images=COLOUR, labels=names[LABELS]))).items() == by_number
    encoded = np.char.encode(names[LABELS], "utf-8")
    assert open_source(str(save(npz, images=COLOUR, labels=encoded))).items() == by_number


def test_names_are_in_the_order_of_the_array(npz: Path) -> None:
    save(npz, images=np.zeros((1001, 2, 2), np.uint8), labels=np.arange(1001) % 2)
    items = open_source(str(npz)).items()
    assert list(items) == sorted(items)
    assert items[10].name == "0010"


def test_a_stored_array_takes_no_memory(npz: Path, monkeypatch) -> None:
    mapped = []
    original = np.memmap

    def counting(*arguments: object, **options: object) -> object:
        mapped.append(arguments)
        return original(*arguments, **options)

    monkeypatch.setattr(np, "memmap", counting)
    open_source(str(save(npz, images=COLOUR, labels=LABELS)))
    assert len(mapped) == 2


def test_the_signature_notices_a_change(npz: Path) -> None:
    before = open_source(str(save(npz, images=COLOUR, labels=LABELS))).signature
    assert open_source(str(npz)).signature == before
    os.utime(npz, ns=(1, 1))
    assert open_source(str(npz)).signature != before


CASES = {
    "another length": (
        {"images": COLOUR, "labels": LABELS[:7]},
        "7 labels for 9 images; give one for each",
    ),
    "floats": (
        {"images": COLOUR / 255, "labels": LABELS},
        r"the images are float64, and must be uint8 .*; save \(255 \* images\)\.round\(\)",
    ),
    "integers": (
        {"images": COLOUR.astype(np.int32), "labels": LABELS},
        r"the images are int32, .*; save images\.astype\('uint8'\)",
    ),
    "channels first": (
        {"images": COLOUR.transpose(0, 3, 1, 2), "labels": LABELS},
        r"9×3×6×8, with the channels first; save images\.transpose\(0, 2, 3, 1\)",
    ),
    "four channels": (
        {"images": np.zeros((9, 6, 8, 4), np.uint8), "labels": LABELS},
        "9×6×8×4, and must be count×height×width, with ×1 or ×3 behind; reshape",
    ),
    "flat": (
        {"images": COLOUR.reshape(9, -1), "labels": LABELS},
        "9×144, and must be count×height×width",
    ),
    "none": ({"images": COLOUR[:0], "labels": LABELS[:0]}, "0×6×8×3, which is none; add images"),
    "one-hot": ({"images": COLOUR, "labels": np.eye(3)[LABELS]}, "9×3 labels for 9 images"),
    "float labels": ({"images": COLOUR, "labels": LABELS / 1.0}, r"save labels\.astype\('int64'\)"),
    "complex": ({"images": COLOUR, "labels": LABELS * 1j}, "whole numbers or the names of the cl"),
    "few names": (
        {"images": COLOUR, "labels": LABELS, "classes": np.array(["a", "b"])},
        "labels go from 0 to 2, and there are 2 names of classes; number the labels from 0",
    ),
    "no labels": ({"images": COLOUR}, "has the images without labels; add an array of labels"),
    "no images": ({"y_train": LABELS}, "has train labels without images; add an array of images"),
    "nothing": (
        {"embedding": LABELS},
        r"holds embedding\.npy, but no images and labels; save them",
    ),
    "twice": ({"x": GREY, "images": GREY, "y": LABELS}, "several arrays of all images; keep one"),
    "objects": (
        {"images": COLOUR, "labels": np.array([*"abc"] * 3, dtype=object)},
        r"labels\.npy holds Python objects, which could run code; save numbers or text",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one_sentence(npz: Path, case: str) -> None:
    arrays, sentence = CASES[case]
    with pytest.raises(DataError, match=sentence):
        open_source(str(save(npz, **arrays)))


@pytest.mark.parametrize("keep", [0, 10, 200, -30])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_that_was_cut_short(npz: Path, keep: int, compressed: bool) -> None:
    save(npz, compressed, images=COLOUR, labels=LABELS)
    npz.write_bytes(npz.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"is not a readable \.npz .*; save it again"):
        open_source(str(npz))


@pytest.mark.parametrize("shape", [(10**9, 10**9, 100), (9, 6, 7)])
def test_a_header_that_promises_another_size(npz: Path, shape: tuple[int, ...]) -> None:
    """A few bytes that claim to be 10²⁰: nothing is allocated for them."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    save(npz, labels=LABELS)
    with zipfile.ZipFile(npz, "a") as archive:
        archive.writestr("images.npy", header.getvalue() + GREY.tobytes())
    with pytest.raises(DataError, match=r"images\.npy is not as large as its header says"):
        open_source(str(npz))


def test_an_array_that_is_a_bomb(npz: Path, monkeypatch) -> None:
    monkeypatch.setattr("normlab.data.sources.base.RATIO_FROM", 2**16)
    save(npz, compressed=True, images=np.zeros((9, 100, 100, 3), np.uint8), labels=LABELS)
    with pytest.raises(
        DataError, match=r"images\.npy unpacks to .*, over 100 times its size, as no"
    ):
        open_source(str(npz))


@pytest.mark.parametrize(
    "header", [b"{", b"(((", b"os.system('x')", b"\xff", b"{'descr': 'O'}", b""]
)
def test_a_header_that_is_no_description(npz: Path, header: bytes) -> None:
    save(npz, labels=LABELS)
    with zipfile.ZipFile(npz, "a") as archive:
        length = len(header).to_bytes(2, "little")
        archive.writestr("images.npy", b"\x93NUMPY\x01\x00" + length + header)
    with pytest.raises(DataError, match=r"is not a readable \.npz"):
        open_source(str(npz))


def test_damage_in_compressed_pixels(npz: Path) -> None:
    save(npz, compressed=True, images=COLOUR, labels=LABELS)
    content = bytearray(npz.read_bytes())
    content[300:340] = b"\xff" * 40
    npz.write_bytes(content)
    with pytest.raises(DataError, match=r"is not a readable \.npz"):
        open_source(str(npz))
