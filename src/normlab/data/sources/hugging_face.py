"""Data sets of the Hugging Face hub by their name: hf:ylecun/mnist, or hf:NAME:CONFIGURATION.

A download is stored with `save_to_disk`; opening it later needs no network and runs no code of it.
"""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from normlab.data.layout import PARTS, Item, Skipped
from normlab.data.locations import HUGGING_FACE
from normlab.data.sources.base import Source
from normlab.data.sources.download_folder import downloaded, not_fetched
from normlab.data.sources.files import file_stamp
from normlab.data.tables import LABEL_COLUMNS
from normlab.errors import DataError, MissingExtraError

LABELS = (*LABEL_COLUMNS, "labels", "fine_label")
Rows = Any
"""A `datasets.Dataset`: rows by number, columns by name."""


class HuggingFaceSource(Source):
    """The splits of a data set on disk; an image is handed out in the bytes it is stored in."""

    def __init__(self, location: str, folder: Path, splits: dict[str, Rows]) -> None:
        """Find the columns and name the images: split/number.

        Raises:
            DataError: there is no column of images, or none of labels.
        """
        self.location = location
        self._folder = folder
        self._rows: dict[str, tuple[Rows, str]] = {}
        self._items: list[Item] = []
        skipped = []
        parts = {name: PARTS.get(name.lower(), "") for name in splits}
        if any(parts.values()):
            skipped = [
                (name, "is a split that is neither train, val nor test")
                for name, part in parts.items()
                if not part
            ]
            parts = {name: part for name, part in parts.items() if part}
        for name in sorted(parts):
            rows, image, labels = _columns(splits[name], location)
            self._rows[name] = rows, image
            digits = len(str(max(len(labels) - 1, 0)))
            for number, label in enumerate(labels):
                item = f"{name}/{number:0{digits}d}"
                if label is None:
                    skipped.append((item, "has no label"))
                else:
                    self._items.append(Item(item, label, parts[name]))
        self.skipped: Skipped = tuple(skipped)

    def items(self) -> Sequence[Item]:
        """All images in their order."""
        return self._items

    def read(self, name: str) -> bytes:
        """The encoded bytes as they are stored."""
        split, _, number = name.rpartition("/")
        rows, column = self._rows[split]
        image = rows[int(number)][column]
        if image is None:
            raise OSError("is empty")
        content = image["bytes"]
        return Path(image["path"]).read_bytes() if content is None else bytes(content)

    def stamps(self) -> Iterable[tuple[int, ...]]:
        """Sizes and times of the files on disk."""
        return (file_stamp(path) for path in sorted(self._folder.rglob("*")) if path.is_file())


def open_hugging_face(location: str, cache: Path | None) -> HuggingFaceSource:
    """A data set that was downloaded before.

    Raises:
        DataError: it was not, or has no images with labels.
        MissingExtraError: the library `datasets` is not installed.
    """
    datasets = _datasets()
    folder = downloaded(location, cache)
    try:
        content = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{location} is damaged in {folder} ({error}); remove that folder and add --download"
        ) from None
    splits = dict(content) if isinstance(content, dict) else {"all": content}
    return HuggingFaceSource(location, folder, splits)


def fetch_hugging_face(location: str, folder: Path) -> None:
    """Download all splits and store them in the folder, whole or not at all.

    Raises:
        DataError: it could not be fetched.
        MissingExtraError: the library `datasets` is not installed.
    """
    datasets = _datasets()
    if folder.is_dir():
        return
    name, _, configuration = location.removeprefix(HUGGING_FACE).partition(":")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        # The library's own copy goes into a folder of ours, and goes when it has been stored.
        content = datasets.load_dataset(
            name, configuration or None, cache_dir=str(partial / "download")
        )
        content.save_to_disk(str(partial / "content"))
        del content
        (partial / "content").replace(folder)
    except Exception as error:  # the library raises its own, and those of several below it
        raise not_fetched(location, error) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _datasets() -> ModuleType:
    try:
        return importlib.import_module("datasets")
    except ImportError:
        raise MissingExtraError("datasets", "hf") from None


def _columns(rows: Rows, location: str) -> tuple[Rows, str, list[str | None]]:
    """The rows with undecoded images, the column of images, and the class of each or None."""
    datasets = _datasets()
    features = rows.features
    images = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    labels = [name for name in LABELS if name in features] or [
        name for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)
    ]
    if not images or not labels:
        lacks = "images" if not images else "labels"
        raise DataError(
            f"{location} has no column of {lacks} among {', '.join(features)}; use a data set of "
            "labelled images"
        )
    names = getattr(features[labels[0]], "names", None)
    values = list(rows[labels[0]])
    classes: list[str | None] = []
    for value in values:
        if value is None or (names and value < 0):
            classes.append(None)
        else:
            classes.append(names[value] if names else str(value))
    return rows.cast_column(images[0], datasets.Image(decode=False)), images[0], classes
