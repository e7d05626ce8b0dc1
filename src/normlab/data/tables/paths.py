"""Paths as people write them: of Windows, of another machine, without folder or ending."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from normlab.data.layout import is_image, part_of
from normlab.errors import DataError, shortened

_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")


@dataclass(frozen=True)
class Files:
    """The files that a table may name."""

    exists: Callable[[str], bool]
    below: Callable[[], Iterable[str]]
    """The names of all files, for a table whose paths are not there."""


def as_paths(names: Sequence[str], folder: str, files: Files | None) -> list[str]:
    r"""The names with the folder before them, and with / between folders.

    >>> as_paths(["cat\\1.png", "./b.png"], "photos", None)
    ['photos/cat/1.png', 'photos/b.png']
    """
    return [str(PurePosixPath(folder, _slashes(name, folder, files))) for name in names]


def _slashes(name: str, folder: str, files: Files | None) -> str:
    if "\\" not in name or ("/" in name and not _DRIVE.match(name)):
        return name
    if files is not None and files.exists(posixpath.join(folder, name)):
        return name  # a sign like any other on this system
    return name.replace("\\", "/")


def found_files(
    names: Sequence[str], parts: Sequence[str], files: Files | None, location: str
) -> Sequence[str]:
    """The names, or where none of them is there: the files below that they mean.

    A name may lack its ending or its folders, or have those of another machine.

    Raises:
        DataError: a name is that of several files, or paths of Windows are of another machine, or
            no file can be called so.
    """
    impossible = next((name for name in names if not _can_be_a_file(name)), None)
    if impossible is not None:
        raise DataError(
            f"{location} has the path {shortened(repr(impossible))}, and no file can be called so; "
            "write the table again"
        )
    if files is None or any(files.exists(name) for name in names):
        return names
    by_stem: dict[str, list[str]] = {}
    for file in sorted(filter(is_image, files.below())):
        by_stem.setdefault(_stem(file), []).append(file)
        by_stem.setdefault(posixpath.basename(file), []).append(file)
    meant = [_meant(name, part, by_stem, location) for name, part in zip(names, parts, strict=True)]
    strange = next((n for n, f in zip(names, meant, strict=True) if f is None), None)
    if strange is not None and _DRIVE.search(strange) and not any(meant):
        raise DataError(
            f"{location} has paths of another machine ({strange}), and no such files lie beside "
            "it; write paths relative to the table"
        )
    return [found or name for name, found in zip(names, meant, strict=True)]


def _can_be_a_file(name: str) -> bool:
    """Whether the system takes the name: no NUL, nor half of a surrogate pair, as JSON may have."""
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def _meant(name: str, part: str, by_stem: dict[str, list[str]], location: str) -> str | None:
    """The one file that ends like the name; None where there is none."""
    base = posixpath.basename(name)
    candidates = by_stem.get(base) or ([] if is_image(base) else by_stem.get(_stem(base), []))
    if len(candidates) > 1:
        folders = name.split("/")[:-1][::-1]
        shared = [_shared(folders, file.split("/")[:-1][::-1]) for file in candidates]
        best = max(shared)
        candidates = [f for f, count in zip(candidates, shared, strict=True) if count == best]
    if len(candidates) > 1 and part:
        candidates = [
            file
            for file in candidates
            if part in {part_of(folder) for folder in file.split("/")[:-1]}
        ] or candidates
    if len(candidates) > 1:
        raise DataError(
            f"{location} names {name}, which may be {' or '.join(candidates[:3])}; write the path "
            "with its folders"
        )
    return candidates[0] if candidates else None


def _shared(one: Sequence[str], two: Sequence[str]) -> int:
    """How many folders two paths share, from the file upwards."""
    count = 0
    for left, right in zip(one, two, strict=False):
        if left != right:
            break
        count += 1
    return count


def _stem(name: str) -> str:
    return posixpath.splitext(posixpath.basename(name))[0]
