"""Data sets that other libraries fetch: torchvision:NAME and hf:NAME, once, when asked to.

`open_source` never uses the network. `download` does; the command line calls it for --download.
"""

from __future__ import annotations

from pathlib import Path

from normlab.data.cache import entry_lock
from normlab.data.locations import TORCHVISION
from normlab.data.sources.download_folder import download_folder
from normlab.data.sources.hugging_face import fetch_hugging_face
from normlab.data.sources.torchvision_sets import fetch_torchvision


def download(location: str, cache: Path | None = None) -> Path:
    """Fetch a named data set, unless it is here already; returns its folder.

    Raises:
        DataError: there is no such data set, or it could not be fetched.
        MissingExtraError: the library is not installed.
    """
    folder = download_folder(location, cache)
    with entry_lock(folder):
        if location.startswith(TORCHVISION):
            fetch_torchvision(location, folder)
        else:
            fetch_hugging_face(location, folder)
    return folder
