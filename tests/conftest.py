"""What all tests share: a cache of their own, patient threads, and the photographs if there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before torch is imported: OpenMP's threads spin while they wait, and where another program has one
# of the cores they wait for a thread that is not running.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or fills the user's cache of images."""
    os.environ["NORMLAB_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photographs, beside the repository."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the photographs in ../shared/data are not here")
    return folder
