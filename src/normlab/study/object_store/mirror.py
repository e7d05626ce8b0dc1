"""A folder of an object store and its copy on this machine, where everything is written first.

Object stores have no renaming and no appending, so records are written here, whole and in order,
and copied after every epoch. What vouches for other files goes last: of a run first its rows, then
its checkpoint, then its outcome; and they are read in the opposite order. So a run can go on from
the store whatever copy was the last one.

The store is the truth, except where nobody has written to it since this machine did.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

STATE = ".mirror.json"
WRITER = ".writer"
"""The object with the token of who has written last."""
_LATE = ("state.ckpt", "outcome.json")
"""Files that vouch for others, in the order in which they are copied."""


class Mirror:
    """A study's folder here, and the same in the store."""

    def __init__(self, store: Any, root: str, folder: Path) -> None:
        """With a file system of fsspec, the path in it, and the folder of this machine."""
        self._store = store
        self._root = root.rstrip("/")
        self._folder = folder
        self._copied: dict[str, tuple[int, int]] = {}
        """Time and size of the files as they were copied to the store, by their names."""

    def pull(self, token: str) -> None:
        """Make the folder what the store has, and write there from now on under this token."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._store.invalidate_cache()
        objects = {
            path.removeprefix(f"{self._root}/"): _version(facts)
            for path, facts in self._store.find(self._root, detail=True).items()
        }
        state = self._read_state()
        ours = bool(state) and self._last_writer() == state["token"]
        known = state.get("objects", {})
        for name, version in sorted(objects.items()):
            path = self._folder / name
            if name.startswith(".") or (path.exists() and (ours or known.get(name) == version)):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.partial")
            self._store.get_file(f"{self._root}/{name}", str(partial))
            partial.replace(path)
        before = {name: tuple(facts) for name, facts in state.get("copied", {}).items()}
        for name, facts in self._files().items():
            if name not in objects and not ours:
                (self._folder / name).unlink()
            elif name in objects:
                as_before = before.get(name, (0, 0)) if known.get(name) == objects[name] else (0, 0)
                self._copied[name] = as_before if ours else facts
        self._store.pipe_file(f"{self._root}/{WRITER}", token.encode())
        self._write_state(token, objects)

    def push(self) -> int:
        """Copy what has changed here to the store; how many objects were written or removed."""
        files = self._files()
        changed = [name for name, facts in files.items() if self._copied.get(name) != facts]
        late = [name for end in _LATE for name in changed if name.endswith(f"/{end}")]
        contents = {name: self._read(name) for name in reversed(late)}  # before what they vouch for
        for name in [*sorted(set(changed) - set(late)), *late]:
            content = contents[name] if name in contents else self._read(name)
            if content is not None:
                self._store.pipe_file(f"{self._root}/{name}", content)
                self._copied[name] = files[name]
        gone = [name for name in self._copied if name not in files]
        for name in gone:
            self._store.rm_file(f"{self._root}/{name}")
            del self._copied[name]
        return len(changed) + len(gone)

    def close(self, token: str) -> None:
        """Copy the rest, and remember what the store has, so that it need not be fetched again."""
        self.push()
        self._store.invalidate_cache()
        found = self._store.find(self._root, detail=True).items()
        self._write_state(
            token, {path.removeprefix(f"{self._root}/"): _version(facts) for path, facts in found}
        )

    def _files(self) -> dict[str, tuple[int, int]]:
        """Time and size of the files here that belong to the study, by their names."""
        found = {}
        for path in self._folder.rglob("*"):
            name = path.relative_to(self._folder).as_posix()
            if not any(part.startswith(".") for part in name.split("/")) and path.is_file():
                facts = path.stat()
                found[name] = (facts.st_mtime_ns, facts.st_size)
        return found

    def _read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:  # replaced or removed meanwhile: the next copy has it
            return None

    def _last_writer(self) -> str:
        try:
            return bytes(self._store.cat_file(f"{self._root}/{WRITER}")).decode()
        except FileNotFoundError:
            return ""

    def _read_state(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self._folder / STATE).read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError):
            return {}

    def _write_state(self, token: str, objects: dict[str, str]) -> None:
        content = json.dumps({"token": token, "objects": objects, "copied": self._copied})
        (self._folder / STATE).write_text(content, encoding="utf-8")


def _version(facts: dict[str, Any]) -> str:
    """What changes whenever an object is written again."""
    names = ("ETag", "etag", "LastModified", "updated", "mtime", "created", "size")
    return " ".join(str(facts[name]) for name in names if facts.get(name) is not None)
