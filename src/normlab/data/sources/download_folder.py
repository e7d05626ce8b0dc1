"""Where the data sets of other libraries lie on this machine, and what to say if they do not."""

from __future__ import annotations

from pathlib import Path

from normlab.data.cache import cache_folder, note_use
from normlab.data.locations import HUGGING_FACE, TORCHVISION
from normlab.errors import DataError


def download_folder(location: str, cache: Path | None = None) -> Path:
    """Where a named data set lies on this machine, or would."""
    kind, _, name = location.partition(":")
    if not name or name.startswith(("/", ".")) or ".." in name.split("/") or "\\" in name:
        raise DataError(
            f"{location!r} names no data set; write it like {TORCHVISION}Flowers102 or "
            f"{HUGGING_FACE}ylecun/mnist"
        )
    folder = "torchvision" if f"{kind}:" == TORCHVISION else "hf"
    return cache_folder(cache) / "downloads" / folder / name.replace("/", "--").replace(":", "--")


def downloaded(location: str, cache: Path | None) -> Path:
    """The folder of a data set that was downloaded before.

    Raises:
        DataError: it was not.
    """
    folder = download_folder(location, cache)
    if not folder.is_dir():
        raise DataError(
            f"{location} is not on this machine; add --download to fetch it into {folder}"
        )
    note_use(folder)
    return folder


def not_fetched(location: str, error: BaseException) -> DataError:
    """What to say of a download that failed: the first line of the library's own words."""
    lines = str(error).strip().splitlines()
    reason = lines[0] if lines else type(error).__name__
    return DataError(
        f"{location} could not be downloaded ({reason}); check the name and the network"
    )
