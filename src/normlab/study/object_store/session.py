"""A command whose study is in an object store works on a copy here, which is copied back.

normlab compare photos/ --out s3://bucket/photos-study
normlab run s3://bucket/photos-study
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from normlab.errors import LeaseLostError, NormlabError, StorageError, UsageError

COPY_SECONDS = 1.0
"""Seconds between two looks at what has changed here."""
_ADDRESS = re.compile(r"(--out=)?(([a-z][a-z0-9+]*)://\S+)")
VERBS = ("compare", "plan", "run", "train", "report", "status", "verify")


@contextmanager
def with_copy(arguments: Sequence[str]) -> Iterator[list[str]]:
    """The command's arguments with the folder of this machine in the place of a store's address.

    Inside of the block what changes in the folder is copied to the store.

    Raises:
        UsageError: the store cannot be opened, or another process runs the study.
        StorageError: not everything could be copied.
    """
    found = [match for each in arguments if (match := _ADDRESS.fullmatch(each))]
    if not found or not arguments or arguments[0] not in VERBS:
        yield list(arguments)
        return
    address = found[0][2].rstrip("/")
    folder = local_folder(address)
    with _copied(address, folder):
        yield [
            f"{match[1] or ''}{folder}" if (match := _ADDRESS.fullmatch(each)) else each
            for each in arguments
        ]


def local_folder(address: str) -> Path:
    """Where the copy of a store's folder is on this machine."""
    from normlab.data.cache import cache_folder

    name = address.rpartition("/")[2]
    return cache_folder() / "stores" / hashlib.sha256(address.encode()).hexdigest()[:12] / name


@contextmanager
def _copied(address: str, folder: Path) -> Iterator[None]:
    from normlab.study.object_store.coordinator import Coordinator
    from normlab.study.object_store.mirror import Mirror

    store, root = open_store(address)
    with _one_sentence(address):
        coordinator = Coordinator(store, root, address)
        mirror = Mirror(store, root, folder)
        mirror.pull(coordinator.token)
    copier = _Copier(mirror, coordinator)
    try:
        yield
    finally:
        copier.end()
        if copier.lost is not None:
            raise copier.lost
        try:
            mirror.close(coordinator.token)
            coordinator.release()
        except Exception as error:
            raise StorageError(
                f"not everything could be copied to {address} ({_reason(error)}); it is in "
                f"{folder}, and the same command goes on from there"
            ) from error
        sys.stderr.write(f"normlab: everything is in {address}\n")


class _Copier(threading.Thread):
    """Copies what changes, until it is ended or another process has taken the study over."""

    def __init__(self, mirror: Any, coordinator: Any) -> None:
        """Begin at once."""
        super().__init__(name="copier", daemon=True)
        self.lost: LeaseLostError | None = None
        self._mirror, self._coordinator = mirror, coordinator
        self._over = threading.Event()
        self._failed = False
        self.start()

    def run(self) -> None:
        """Look, and copy."""
        while not self._over.wait(COPY_SECONDS):
            try:
                self._coordinator.beat()
                self._mirror.push()
                self._failed = False
            except LeaseLostError as error:
                self.lost = error
                os.kill(os.getpid(), signal.SIGTERM)  # which stops a study in order
                return
            except Exception as error:  # a store that does not answer: again after a while
                if not self._failed:
                    sys.stderr.write(f"normlab: the store does not answer ({_reason(error)})\n")
                self._failed = True

    def end(self) -> None:
        """Wait until it has come to its end."""
        self._over.set()
        self.join()


def open_store(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it.

    Raises:
        UsageError: fsspec or the store's own package is not installed; there is no such store.
    """
    try:
        from fsspec.core import url_to_fs

        store, root = url_to_fs(address)
    except ImportError as error:
        raise UsageError(
            f'{address} needs more packages: pip install "normlab[remote]" for s3:// and gs:// '
            f"({_reason(error)})"
        ) from None
    except ValueError as error:
        raise UsageError(f"{address} is no address of a store: {_reason(error)}") from None
    return store, root


@contextmanager
def _one_sentence(address: str) -> Iterator[None]:
    try:
        yield
    except NormlabError:
        raise
    except Exception as error:
        raise UsageError(
            f"cannot use {address} ({_reason(error)}); see that the bucket is there, and your "
            "credentials and AWS_ENDPOINT_URL"
        ) from error


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
