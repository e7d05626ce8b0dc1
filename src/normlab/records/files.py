"""Files of records: written whole or not at all, read whole or a sentence says why not."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from normlab.errors import LeaseLostError, StorageError
from normlab.records.run import Frozen
from normlab.records.seal import TRAIN_AGAIN, seal, unseal

Model = TypeVar("Model", bound=Frozen)
Guard = Callable[[], None]
"""Raises where a process must not write."""


def no_guard() -> None:
    """Allow every write, as to a folder that no lease protects."""


def atomic_write(path: Path, content: bytes | tuple[bytes, ...], guard: Guard = no_guard) -> None:
    """Write the file whole or not at all: beside it, flushed to disk, then renamed.

    Content in parts is written part by part.

    `guard` is called in the last moment before the file becomes visible, and raises where it must
    not.

    Raises:
        StorageError: the folder cannot be written or the disk is full; no half file is left.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.writelines(content if isinstance(content, tuple) else (content,))
            file.flush()
            os.fsync(file.fileno())
        guard()
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        if isinstance(error, LeaseLostError):
            raise
        reason = error.strerror or str(error)
        raise StorageError(
            f"cannot write {path}: {reason}; free some space or choose another folder"
        ) from error


def append_lines(path: Path, lines: Sequence[str]) -> None:
    """Append lines and flush them to disk.

    Raises:
        StorageError: the file cannot be written or the disk is full.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(
            f"cannot append to {path}: {reason}; free some space or check its permissions, then "
            "run the command again"
        ) from error


def read_optional(path: Path, model: type[Model], remedy: str = "") -> Model | None:
    """The content of a JSON file that `write_model` wrote, or None where there is none.

    Raises:
        StorageError: it is damaged or was changed; the sentence ends with the remedy.
    """
    remedy = remedy or f"delete {path.name}"
    content = read_bytes(path)
    if content is None:
        return None
    return parse(unseal(content, path, remedy)[0], path, model, remedy)


def write_model(path: Path, model: Frozen, guard: Guard = no_guard) -> None:
    """Write a value as JSON with its checksum, whole or not at all; see `atomic_write`."""
    atomic_write(path, seal(model.model_dump_json(indent=1).encode()), guard)


def read_bytes(path: Path) -> bytes | None:
    """The content of a file; None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(
            f"{path} cannot be read: {error.strerror or error}; check the disk and the file's "
            "permissions"
        ) from error


def parse(content: bytes, path: Path, model: type[Model], remedy: str = TRAIN_AGAIN) -> Model:
    """The value that a JSON file holds.

    Raises:
        StorageError: it holds none; the sentence names the key and ends with the remedy.
    """
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise StorageError(
            f"{path} is damaged or of another version of normlab "
            f"({where + ': ' if where else ''}{fault['msg']}); {remedy}"
        ) from error
