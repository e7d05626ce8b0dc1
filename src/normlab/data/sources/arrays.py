"""Images that are arrays of pixels: .npz files, and the digits of scikit-learn.

An image is handed out as PGM or PPM: a header of its width and height and then the pixels as they
lie in memory. So hash and decoder treat it as any file, and nothing is compressed on the way.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from normlab.data.layout import PARTS, Item
from normlab.data.locations import DEMO
from normlab.data.sources.base import RATIO_LIMIT, Source, unpacked_limit
from normlab.data.sources.files import file_stamp
from normlab.errors import DataError
from normlab.inputs import reading

IMAGE_KEYS = ("images", "x", "data")
LABEL_KEYS = ("labels", "y", "targets")
CLASS_KEYS = ("classes", "class_names", "label_names")
Stamp = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Block:
    """Images of one part, all of the same size."""

    part: str
    """"train", "val", "test", or "" where there are no parts."""
    images: np.ndarray
    """Unsigned bytes of shape (n, h, w), (n, h, w, 1) or (n, h, w, 3)."""
    labels: np.ndarray
    """Shape (n,): numbers of classes, or their names."""


class ArraySource(Source):
    """Blocks of images in memory, or mapped into it."""

    def __init__(
        self,
        location: str,
        blocks: Sequence[Block],
        stamps: Sequence[Stamp],
        classes: Sequence[str] | None = None,
    ) -> None:
        """Check and name the images: part/number.

        Raises:
            DataError: shape or type of the images, or the labels, are not as they should be.
        """
        self.location = location
        self._stamps = stamps
        self._blocks = {block.part: block for block in blocks}
        self._items: list[Item] = []
        for part in sorted(self._blocks):
            block = self._blocks[part]
            _check_images(block, f"{location}{f' ({part})' if part else ''}")
            labels = _class_names(block, classes, location)
            digits = len(str(max(len(labels) - 1, 0)))
            top = f"{part}/" if part else ""
            self._items += [
                Item(f"{top}{number:0{digits}d}", label, part)
                for number, label in enumerate(labels)
            ]

    def items(self) -> Sequence[Item]:
        """All images in their order."""
        return self._items

    def read(self, name: str) -> bytes:
        """The image as PGM (grey) or PPM (colour)."""
        part, _, number = name.rpartition("/")
        return pnm(self._blocks[part].images[int(number)])

    def stamps(self) -> Iterable[Stamp]:
        """Sizes and times of the files that hold the arrays."""
        return self._stamps


class DigitsSource(Source):
    """1,797 handwritten digits of 8×8 pixels (UCI, Alpaydin & Kaynak 1998), by scikit-learn."""

    location = DEMO

    def __init__(self) -> None:
        """Load the package's copy; nothing is downloaded."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        self._pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
        self._items = [
            Item(f"{number:04d}.png", str(label)) for number, label in enumerate(digits.target)
        ]

    def items(self) -> Sequence[Item]:
        """All digits in their order."""
        return self._items

    def read(self, name: str) -> bytes:
        """The digit as a grey PNG."""
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(self._pixels[int(name[:4])]).save(buffer, "PNG")
        return buffer.getvalue()

    def stamps(self) -> Iterable[Stamp]:
        """The sum of each digit's pixels stands for its bytes."""
        return ((64, int(pixels.sum())) for pixels in self._pixels)


def pnm(pixels: np.ndarray) -> bytes:
    """Unsigned bytes of shape (h, w), (h, w, 1) or (h, w, 3) as PGM or PPM."""
    height, width = pixels.shape[:2]
    kind = b"P6" if pixels.shape[2:] == (3,) else b"P5"
    return b"%s\n%d %d\n255\n" % (kind, width, height) + pixels.tobytes()


def open_npz(path: Path) -> ArraySource:
    """Images and labels of an .npz: images, labels; or x_train, y_train, x_test, y_test; …

    An array that is stored without compression (`np.savez`) is mapped and takes no memory; one of
    `np.savez_compressed` is read as a whole.

    Raises:
        DataError: it is damaged, holds Python objects, or no images with their labels.
    """
    fault = reading(f"{path} is not a readable .npz", "save it again")
    with fault, zipfile.ZipFile(path) as archive:
        arrays = {
            info.filename.removesuffix(".npy"): _array(path, archive, info)
            for info in archive.infolist()
            if info.filename.endswith(".npy") and _role(info.filename.removesuffix(".npy"))
        }
        present = ", ".join(archive.namelist()) or "nothing"
    blocks, classes = _blocks(arrays, str(path))
    if not blocks:
        raise DataError(
            f"{path} holds {present}, but no images and labels; save them with "
            "np.savez(path, images=…, labels=…), or x_train, y_train, x_test, y_test"
        )
    return ArraySource(str(path), blocks, [file_stamp(path)], classes)


def _role(key: str) -> tuple[str, str] | None:
    """What an array is ("images", "labels" or "classes") and of which part; None: not ours."""
    key = key.lower()
    if key in CLASS_KEYS:
        return "classes", ""
    head, _, tail = key.partition("_")
    for word, part in ((head, tail), (tail, head)):
        if part and part not in PARTS:
            continue
        if word in IMAGE_KEYS:
            return "images", PARTS.get(part, "")
        if word in LABEL_KEYS:
            return "labels", PARTS.get(part, "")
    return None


def _blocks(
    arrays: Mapping[str, np.ndarray], location: str
) -> tuple[list[Block], Sequence[str] | None]:
    found: dict[str, dict[str, np.ndarray]] = {"images": {}, "labels": {}, "classes": {}}
    for key, array in arrays.items():
        role = _role(key)
        assert role is not None
        kind, part = role
        if part in found[kind]:
            raise DataError(f"{location} has several arrays of {part or 'all'} {kind}; keep one")
        found[kind][part] = array
    lonely = found["images"].keys() ^ found["labels"].keys()
    if lonely:
        part = min(lonely)
        has, lacks = ("images", "labels") if part in found["images"] else ("labels", "images")
        raise DataError(
            f"{location} has {part or 'the'} {has} without {lacks}; add an array of {lacks}"
        )
    blocks = [
        Block(part, images, _flat(found["labels"][part]))
        for part, images in found["images"].items()
    ]
    classes = found["classes"].get("")
    return blocks, None if classes is None else [str(name) for name in classes.ravel()]


def _flat(labels: np.ndarray) -> np.ndarray:
    """(n, 1) as (n,): so MedMNIST has it."""
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _array(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """One array, mapped where it is stored as it is; its header must agree with its size."""
    with archive.open(info) as member:
        shape, fortran, dtype = _header(member)
        begin = member.tell()
        name = f"{path}/{info.filename}"
        if dtype.hasobject:
            raise DataError(
                f"{name} holds Python objects, which could run code; save numbers or text: "
                "array.astype('uint8') for images, astype('int64') or astype('U') for labels"
            )
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if begin + size != info.file_size:
            raise DataError(f"{name} is not as large as its header says; save it again")
        if size > unpacked_limit(info.compress_size):
            raise DataError(
                f"{name} unpacks to {size / 2**30:.1f} GiB, over {RATIO_LIMIT} times its size, as "
                "no images do; save it with np.savez if it is no bomb"
            )
        order: Any = "F" if fortran else "C"
        if info.compress_type != zipfile.ZIP_STORED or size == 0:
            content = member.read()
            return np.frombuffer(content, dtype).reshape(shape, order=order)
    with path.open("rb") as file:
        file.seek(info.header_offset)
        local = file.read(30)  # the local header; its name and extra field may differ in length
    offset = info.header_offset + 30 + _short(local, 26) + _short(local, 28) + begin
    return np.memmap(path, dtype, "r", offset, shape, order)


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(member)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"the .npy version {version}")
    shape, fortran, dtype = read(member)
    return shape, fortran, dtype


def _short(content: bytes, place: int) -> int:
    return int.from_bytes(content[place : place + 2], "little")


def _check_images(block: Block, where: str) -> None:
    images = block.images
    shape = "×".join(map(str, images.shape))
    if images.dtype != np.uint8:
        raise DataError(
            f"{where}: the images are {images.dtype}, and must be uint8 from 0 to 255; save "
            f"{'(255 * images).round()' if images.dtype.kind == 'f' else 'images'}"
            ".astype('uint8')"
        )
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] not in (1, 3):
        raise DataError(
            f"{where}: the images are {shape}, with the channels first; save "
            "images.transpose(0, 2, 3, 1)"
        )
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        raise DataError(
            f"{where}: the images are {shape}, and must be count×height×width, with ×1 or ×3 "
            "behind; reshape them"
        )
    if 0 in images.shape:
        raise DataError(f"{where}: the images are {shape}, which is none; add images")
    if block.labels.ndim != 1 or len(block.labels) != len(images):
        labels = "×".join(map(str, block.labels.shape))
        raise DataError(f"{where}: {labels} labels for {len(images)} images; give one for each")


def _class_names(block: Block, classes: Sequence[str] | None, location: str) -> list[str]:
    """The class of every image; one string in memory for each class."""
    labels = block.labels
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8")
    if labels.dtype.kind == "f":
        raise DataError(f"{location}: labels are {labels.dtype}; save labels.astype('int64')")
    if labels.dtype.kind not in "iubU":
        raise DataError(
            f"{location}: labels are {labels.dtype}; save whole numbers or the names of the classes"
        )
    values, index = np.unique(labels, return_inverse=True)
    if classes is not None and labels.dtype.kind in "iu":
        low, high = int(values.min()), int(values.max())
        if low < 0 or high >= len(classes):
            raise DataError(
                f"{location}: labels go from {low} to {high}, and there are {len(classes)} names "
                "of classes; number the labels from 0, or add the names"
            )
        names = [str(classes[value]) for value in values]
    else:
        names = [str(value) for value in values]
    return [names[number] for number in index.tolist()]
