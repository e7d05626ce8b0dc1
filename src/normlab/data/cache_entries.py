"""What lies in the cache, and removing it again.

    images/<key>/     prepared images          unpacked/<key>/   a compressed tar, decompressed
    scans/<key>.npz   hashes of the files      downloads/…/      data sets that were asked for
    *.partial, *.lock what a process that died has left, or one that is at work

Removing prepared images while a run reads them does not disturb it: the system keeps the file until
the run ends. Only what a process is making right now, whose lock it holds, is left alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from normlab.data.cache import entry_unused, lock_path
from normlab.inputs import PARSER_FAULTS


@dataclass(frozen=True)
class CacheEntry:
    """One thing that can be removed by itself."""

    kind: str
    """images, scan, unpacked, download, kernel, or leftover."""
    path: Path
    bytes: int
    """How many it takes on disk."""
    last_used: float
    """Seconds since 1970."""
    images: int | None = None
    size: int | None = None
    """The side of the prepared images, in pixels."""
    source: str = ""
    """Where the images came from, if that was noted."""


def cache_entries(cache: Path, kernels: Path | None = None) -> list[CacheEntry]:
    """All entries, the longest unused first; `kernels` is where compiled kernels are kept."""
    entries = [
        *_folders(cache / "images", "images"),
        *_folders(cache / "unpacked", "unpacked"),
        *_scans(cache / "scans"),
        *(e for folder in _children(cache / "downloads") for e in _folders(folder, "download")),
    ]
    if kernels is not None:
        entries += [_plain("kernel", path) for path in _children(kernels)]
    return sorted(entries, key=lambda entry: (entry.last_used, str(entry.path)))


def remove_entry(entry: CacheEntry) -> bool:
    """Remove it and its lock; False where a process is making it, or the system refuses."""
    base = _base(entry.path)
    if entry.kind in ("scan", "kernel") or entry.path.parent.name == "scans":
        return not _at_work(entry.path) and _remove(entry.path)
    try:
        with entry_unused(base) as unused:
            return unused and (entry.path == lock_path(base) or _remove(entry.path))
    except OSError:
        return False


def _folders(folder: Path, kind: str) -> Iterator[CacheEntry]:
    for path in _children(folder):
        if path.name.endswith(".lock"):
            base = _base(path)
            if not base.exists() and not base.with_name(f"{base.name}.partial").exists():
                yield _plain("leftover", path)
        elif path.name.endswith(".partial"):
            yield _plain("leftover", path)
        else:
            checks = _checks(path)
            yield CacheEntry(
                kind,
                path,
                _bytes(path),
                _time(path / "checks.json") or _time(path),
                checks.get("images"),
                checks.get("size"),
                str(checks.get("source", "")),
            )


def _scans(folder: Path) -> Iterator[CacheEntry]:
    for path in _children(folder):
        yield _plain("leftover" if path.name.endswith(".partial") else "scan", path)


def _plain(kind: str, path: Path) -> CacheEntry:
    return CacheEntry(kind, path, _bytes(path), _time(path))


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _base(path: Path) -> Path:
    """The entry that a lock or a half entry belongs to."""
    return path.with_name(path.name.removesuffix(".lock").removesuffix(".partial"))


def _checks(path: Path) -> dict[str, Any]:
    try:
        content = json.loads((path / "checks.json").read_text(encoding="utf-8"))
    except PARSER_FAULTS:
        return {}
    return content if isinstance(content, dict) else {}


def _at_work(path: Path) -> bool:
    """Whether the process lives that names itself in a partial file's name."""
    match = re.fullmatch(r"\..*\.(?:[0-9a-f]{8}-)?(\d+)\.partial", path.name)
    if match is None:
        return False
    try:
        os.kill(int(match[1]), 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _remove(path: Path) -> bool:
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        return True
    return False


def _bytes(path: Path) -> int:
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    total = 0
    for file in files:
        with contextlib.suppress(OSError):
            status = file.lstat()
            total += getattr(status, "st_blocks", -(-status.st_size // 512)) * 512
    return total


def _time(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0
