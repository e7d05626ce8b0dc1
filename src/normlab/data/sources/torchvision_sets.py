"""Data sets of torchvision by the name of their class: torchvision:Flowers102."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from normlab.data.decode import to_rgb
from normlab.data.layout import Item
from normlab.data.locations import TORCHVISION
from normlab.data.sources.arrays import pnm
from normlab.data.sources.base import Source
from normlab.data.sources.download_folder import downloaded, not_fetched
from normlab.data.sources.files import file_stamp
from normlab.errors import DataError, MissingExtraError, UnknownNameError

SPLITS = {"train": ("train", "trainval"), "val": ("val", "valid"), "test": ("test",)}
"""Part → the names that data sets give it; of train and trainval the first that exists."""
LABELS = ("targets", "labels", "_labels", "_targets", "y")
"""Where data sets keep the label of every image, so that no image is opened for it."""


class TorchvisionSource(Source):
    """The parts of a data set of torchvision, whose images are decoded by it."""

    def __init__(self, location: str, folder: Path, parts: Mapping[str, Any]) -> None:
        """Bind the opened parts and name their images: part/number."""
        self.location = location
        self._folder = folder
        self._parts = parts
        self._items: list[Item] = []
        for part in sorted(parts):
            labels = _labels(parts[part], location)
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
        """The image as PPM, as torchvision decodes it."""
        part, _, number = name.rpartition("/")
        image, _ = self._parts[part][int(number)]
        return pnm(np.asarray(to_rgb(image)))

    def stamps(self) -> Iterable[tuple[int, ...]]:
        """Sizes and times of the downloaded files."""
        return (file_stamp(path) for path in sorted(self._folder.rglob("*")) if path.is_file())


def open_torchvision(location: str, cache: Path | None) -> TorchvisionSource:
    """A data set that was downloaded before.

    Raises:
        DataError: it was not, or gives no images with a class each.
        MissingExtraError: torchvision is not installed.
    """
    kind = _kind(location)
    folder = downloaded(location, cache)
    try:
        parts = dict(_open_parts(kind, folder, download=False))
    except (RuntimeError, OSError, ModuleNotFoundError) as error:
        raise DataError(
            f"{location} is not whole in {folder} ({_first_line(error)}); add --download to fetch "
            "it again"
        ) from None
    return TorchvisionSource(location, folder, parts)


def fetch_torchvision(location: str, folder: Path) -> None:
    """Download every part into the folder.

    Raises:
        DataError: it could not be fetched.
        MissingExtraError: torchvision is not installed.
    """
    kind = _kind(location)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for _ in _open_parts(kind, folder, download=True):
            pass
    except (RuntimeError, OSError, ModuleNotFoundError) as error:
        raise not_fetched(location, error) from None


def _kind(location: str) -> Any:
    """The class of a data set."""
    name = location.removeprefix(TORCHVISION)
    datasets = _torchvision()
    known = [key for key in datasets.__all__ if _accepts(getattr(datasets, key), "download")]
    if name not in known:
        raise UnknownNameError("data set of torchvision", name, known)
    return getattr(datasets, name)


def _torchvision() -> ModuleType:
    try:
        return importlib.import_module("torchvision.datasets")
    except ImportError:
        raise MissingExtraError("torchvision", "torchvision") from None
    except RuntimeError as error:  # a build for another torch
        raise DataError(
            f"torchvision does not load beside this torch ({_first_line(error)}); install the "
            "build of it that belongs to yours"
        ) from None


def _accepts(kind: Any, parameter: str) -> bool:
    return inspect.isclass(kind) and parameter in inspect.signature(kind).parameters


def _open_parts(kind: Any, folder: Path, *, download: bool) -> Iterator[tuple[str, Any]]:
    """Each part by name; "" where the data set has none."""
    options = {"root": str(folder), "download": download}
    if _accepts(kind, "train"):
        yield "train", kind(**options, train=True)
        yield "test", kind(**options, train=False)
        return
    if not _accepts(kind, "split"):
        yield "", kind(**options)
        return
    found = False
    for part, names in SPLITS.items():
        for name in names:
            try:
                opened = kind(**options, split=name)
            except ValueError:  # torchvision's word for a split that this data set has not
                continue
            found = True
            yield part, opened
            break
    if not found:
        yield "", kind(**options)


def _labels(part: Any, location: str) -> list[str]:
    """The class of every image, by its name where the data set has names."""
    values: Any = next((getattr(part, name) for name in LABELS if hasattr(part, name)), None)
    if values is None or len(values) != len(part):
        values = [part[number][1] for number in range(len(part))]  # opens every image once
    try:
        numbers = np.asarray(values)
    except (TypeError, ValueError):
        numbers = np.empty((0, 0))
    if numbers.ndim != 1 or numbers.dtype.kind not in "iuU":
        raise DataError(f"{location} gives no one class to each image; use another data set")
    names: Any = getattr(part, "classes", None)
    known = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if numbers.dtype.kind == "U" or not known or int(numbers.max(initial=0)) >= len(names):
        return [str(value) for value in numbers.tolist()]
    return [names[value] for value in numbers.tolist()]


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
