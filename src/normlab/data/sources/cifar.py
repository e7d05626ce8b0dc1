"""The original python batches of CIFAR-10 and CIFAR-100 (Krizhevsky 2009), in a folder or a tar.

They are pickles, and a pickle may run code. Only what the batches consist of is let through:
numbers, text, lists, dicts and arrays of numpy.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from normlab.data.sources.arrays import ArraySource, Block, Stamp
from normlab.errors import DataError

HOME = "https://www.cs.toronto.edu/~kriz/cifar.html"


@dataclass(frozen=True)
class Edition:
    """Which files one of the two sets consists of, and the keys in them."""

    folder: str
    meta: str
    batches: tuple[tuple[str, tuple[str, ...]], ...]
    labels: str
    classes: str


EDITIONS = (
    Edition(
        "cifar-10-batches-py",
        "batches.meta",
        (("train", tuple(f"data_batch_{n}" for n in range(1, 6))), ("test", ("test_batch",))),
        "labels",
        "label_names",
    ),
    Edition(
        "cifar-100-python",
        "meta",
        (("train", ("train",)), ("test", ("test",))),
        "fine_labels",
        "fine_label_names",
    ),
)


def find_cifar(names: Container[str]) -> tuple[Edition, str] | None:
    """Which edition files with these names are, and the folder before them; None: neither."""
    for edition in EDITIONS:
        for folder in ("", f"{edition.folder}/"):
            files = [name for _, batch in edition.batches for name in batch]
            if f"{folder}{edition.meta}" in names and any(f"{folder}{n}" in names for n in files):
                return edition, folder
    return None


def open_cifar(
    found: tuple[Edition, str],
    read: Callable[[str], bytes],
    location: str,
    stamps: Sequence[Stamp],
) -> ArraySource:
    """The images of an edition, whose files `read` hands out by name.

    Raises:
        DataError: a batch is missing, damaged, or not what it should be.
    """
    edition, folder = found

    def load(name: str) -> dict[str, Any]:
        where = f"{location}: {name}"
        try:
            content = read(folder + name)
        except OSError as error:
            raise DataError(
                f"{where} cannot be read ({error.strerror or error}); download it from {HOME}"
            ) from None
        return load_batch(content, where)

    classes = load(edition.meta).get(edition.classes)
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise DataError(f"{location}: {edition.meta} names no classes; download it from {HOME}")
    blocks = []
    for part, names in edition.batches:
        batches = [_batch(load(name), edition, f"{location}: {name}") for name in names]
        labels = np.concatenate([labels for _, labels in batches])
        images = np.empty((len(labels), 3, 32, 32), np.uint8)
        first = len(labels)
        while batches:  # each is let go once it is copied: all of them twice would be 300 MB
            batch = batches.pop()[0]
            first -= len(batch)
            images[first : first + len(batch)] = batch.reshape(-1, 3, 32, 32)
        blocks.append(Block(part, images.transpose(0, 2, 3, 1), labels))
    return ArraySource(location, blocks, stamps, classes)


def load_batch(content: bytes, where: str) -> dict[str, Any]:
    """The dict of a batch.

    Raises:
        DataError: it is no such pickle, or wants more than numbers, text and arrays.
    """
    try:
        batch = _SafeUnpickler(io.BytesIO(content), encoding="latin1").load()
    except DataError as error:
        raise DataError(f"{where} {error}") from None
    except Exception as error:  # whatever damaged bytes make of a pickle
        raise DataError(
            f"{where} is no batch of CIFAR ({type(error).__name__}: {error}); download it from "
            f"{HOME}"
        ) from None
    if not isinstance(batch, dict):
        raise DataError(f"{where} is no batch of CIFAR (no dict); download it from {HOME}")
    return {_text(key): value for key, value in batch.items()}


def _batch(batch: dict[str, Any], edition: Edition, where: str) -> tuple[np.ndarray, np.ndarray]:
    data, labels = batch.get("data"), batch.get(edition.labels)
    if (
        not isinstance(data, np.ndarray)
        or data.dtype != np.uint8
        or data.ndim != 2
        or data.shape[1] != 3 * 32 * 32
        or not isinstance(labels, list)
        or len(labels) != len(data)
        or not all(type(label) is int for label in labels)
    ):
        raise DataError(
            f"{where} has no n×3072 bytes with n {edition.labels}; download it from {HOME}"
        )
    return data, np.array(labels, dtype=np.int64)


def _text(key: object) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)


def _empty_array(*_: object) -> np.ndarray:
    """What numpy begins an array with before its bytes are put in; the arguments have no say."""
    return np.empty(0, np.uint8)


def _encode(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes in an old protocol."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text in {encoding!r}")
    return text.encode("latin1")


def _dtype(name: str, *_: object) -> np.dtype:
    """Types of numbers only: an array of objects would hold what a pickle makes."""
    dtype = np.dtype(name)
    if dtype.hasobject:
        raise pickle.UnpicklingError(f"an array of {name!r}")
    return dtype


_ALLOWED: dict[tuple[str, str], object] = {
    ("numpy", "ndarray"): "numpy.ndarray",  # an argument of the next, which does not look at it
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encode,
}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _ALLOWED[_module, "_reconstruct"] = _empty_array


class _SafeUnpickler(pickle.Unpickler):
    """Knows the names that arrays of numbers need, and no other."""

    def find_class(self, module: str, name: str) -> object:
        """What stands for a global name of the pickle."""
        if (module, name) not in _ALLOWED:
            raise DataError(
                f"wants to run {module}.{name}, as no batch of CIFAR does; do not trust this "
                f"file, download it from {HOME}"
            )
        return _ALLOWED[module, name]
