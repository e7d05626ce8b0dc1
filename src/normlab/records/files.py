"""Files of records: written whole or not at all, with a checksum that every reader compares.

A sealed JSON file ends with the SHA-256 of all bytes before:

    { …,
     "sha256": "9f86d0…"
    }

The outcome of a run that is final is sealed and holds the SHA-256 of the run's other files, so that
it vouches for all of them. It is written last and by one renaming: there is no moment at which a
run has ended and is not vouched for. A checkpoint has its SHA-256 in its first line.

Records from before there were seals are read as they are.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import hashlib
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from normlab.errors import LeaseLostError, StorageError, write_remedy
from normlab.frozen import Frozen, of_checked, share_field_set
from normlab.inputs import check_input, kind_of_no_file
from normlab.limits import MAX_BLOCKS
from normlab.records.lease import machine, started
from normlab.records.run import Outcome, RunSpec

Model = TypeVar("Model", bound=Frozen)
Guard = Callable[[], None]
"""Raises where a process must not write."""
TRAIN_AGAIN = "delete the run's folder to train it again"
VOUCHED_FILES = (
    *("spec.json", "environment.json", "epochs.jsonl", "layers.jsonl"),
    *("predictions.npz", "weights.safetensors"),
)
"""Of a run's folder; log.txt is for people, and the checkpoint is gone when a run is final."""
_SEAL = re.compile(rb',\n "sha256": "([0-9a-f]{64})"\n\}\n\Z')
_FIRST_LINE = b"normlab checkpoint 1 sha256 %s\n"
_FIRST_LINE_LENGTH = len(_FIRST_LINE) - 2 + 64
_BLOCK = re.compile(rb'^ "block": (0|[1-9][0-9]{0,6}),$', re.MULTILINE)
"""The block in a spec.json as it is written: one blank before a key of the outermost object."""
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
"""How files are opened: as bytes, and without waiting where a pipe is found."""
_RUN_ID = re.compile(r".*-([0-9a-f]{12})")


def no_guard() -> None:
    """Allow every write, as to a folder that no lease protects."""


def atomic_write(path: Path, content: bytes | tuple[bytes, ...], guard: Guard = no_guard) -> None:
    """Write the file whole or not at all: beside it, flushed to disk, then renamed.

    Content in parts is written part by part.

    What is no file (/dev/null, /dev/stdout, a named pipe) is written to and never replaced.

    `guard` is called in the last moment before the file becomes visible, and raises where it must
    not.

    Raises:
        StorageError: the folder cannot be written or the disk is full; no half file is left.
    """
    parts = content if isinstance(content, tuple) else (content,)
    if (kind := kind_of_no_file(path)) is not None:
        _write_into(path, parts, kind)
        return
    partial = path.with_name(f".{path.name}.{_machine_number()}-{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        with partial.open("wb") as file:
            file.writelines(parts)
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
        raise StorageError(f"cannot write {path}: {reason}; {write_remedy(error)}") from error


@functools.cache
def _machine_number() -> str:
    """Eight digits that tell this machine from others that share a folder."""
    return f"{zlib.crc32(machine().encode()):08x}"


def _sweep(path: Path) -> None:
    """Remove what processes of this machine that are dead have left of writing this file."""
    start = f".{path.name}.{_machine_number()}-"
    with os.scandir(path.parent) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(start)]
    for name in names:
        writer = name.removeprefix(start).removesuffix(".partial")
        if writer.isdecimal() and started(int(writer)) == "gone":
            path.with_name(name).unlink(missing_ok=True)


def _write_into(path: Path, parts: tuple[bytes, ...], kind: str) -> None:
    """Write to a pipe or a device of characters, as a shell does."""
    mode = path.stat().st_mode
    if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise StorageError(f"cannot write {path}: it is {kind}; name a file")
    try:
        with path.open("wb") as file:
            file.writelines(parts)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}; name a file"
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
            f"cannot append to {path}: {reason}; {write_remedy(error)}, then run the command again"
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


def read_bytes(path: Path | str) -> bytes | None:
    """The content of a file; None where there is none.

    Raises:
        DataError: it is a pipe, a device or a socket.
        StorageError: it cannot be read.
    """
    try:
        descriptor = os.open(path, _READ)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                check_input(Path(path))
            parts = [os.read(descriptor, found.st_size + 1)]
            if len(parts[0]) == found.st_size:
                return parts[0]
            while parts[-1]:  # it grows, or the system gives it in pieces
                parts.append(os.read(descriptor, 2**20))
            return b"".join(parts)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        check_input(Path(path))  # a socket
        raise StorageError(
            f"{path} cannot be read: {error.strerror or error}; check the disk and the file's "
            "permissions"
        ) from error


def read_outcome(path: Path | str, run: str) -> Outcome | None:
    """A run's outcome as it is stored, or None where there is none.

    A `SealedOutcome`, or an `Outcome` where it is of before there were seals.

    Args:
        path: of outcome.json.
        run: the id of the run that it must be of, or "" where that is not known.

    Raises:
        StorageError: it is damaged, was changed, or is that of another run.
    """
    content = read_bytes(path)
    if content is None:
        return None
    content, sealed = unseal(content, path, TRAIN_AGAIN)
    if not sealed:
        return parse(content, path, Outcome)
    stored = parse(content, path, SealedOutcome)
    if stored.run and run not in ("", stored.run):
        raise StorageError(
            f"{path} is that of the run {stored.run}, not of this folder; {TRAIN_AGAIN}"
        )
    return stored


def parse(content: bytes, path: Path | str, model: type[Model], remedy: str = TRAIN_AGAIN) -> Model:
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


def parse_spec(content: bytes, path: Path) -> RunSpec:
    """What a spec.json holds; specs that differ in the block alone share all the rest.

    Raises:
        StorageError: it holds none; the sentence names the key and ends with the remedy.
    """
    found = _BLOCK.findall(content)
    if len(found) == 1 and (block := int(found[0])) < 2 * MAX_BLOCKS:
        with contextlib.suppress(ValidationError):  # or it is said of which file
            return _spec_of_block_0(_BLOCK.sub(b' "block": 0,', content)).in_block(block)
    return parse(content, path, RunSpec)


@functools.lru_cache(4096)
def _spec_of_block_0(content: bytes) -> RunSpec:
    return RunSpec.model_validate_json(content)


class SealedOutcome(Outcome):
    """An outcome as it is stored."""

    run: str
    """The id of the run; "" where the folder is not named after one."""
    files: dict[str, str]
    """SHA-256 of the run's other files, if the outcome is final."""

    @property
    def plain(self) -> Outcome:
        """What became of the run, without what the record says of itself."""
        values = vars(self).copy()
        del values["run"], values["files"]
        for part in (self.train, self.validation, self.test):
            if part is not None:
                share_field_set(part)
        return of_checked(Outcome, values, self.model_fields_set - {"run", "files"})


def seal(content: bytes) -> bytes:
    r"""A JSON object of several lines, with its SHA-256 as the last key.

    >>> seal(b'{\n "a": 1\n}').decode().splitlines()[1]
    ' "a": 1,'
    """
    head = content.rstrip().removesuffix(b"}").rstrip()
    return head + b',\n "sha256": "%s"\n}\n' % _hex(head)


def unseal(content: bytes, path: Path | str, remedy: str) -> tuple[bytes, bool]:
    """The JSON without its seal, and whether it had one.

    Raises:
        StorageError: it is not what was sealed.
    """
    match = _SEAL.search(content)
    if match is None:
        if b'"sha256"' in content:
            raise StorageError(f"{path} was cut or changed after it was written; {remedy}")
        return content, False
    head = content[: match.start()]
    if _hex(head) != match[1]:
        raise StorageError(
            f"{path} was changed after it was written (its checksum differs); {remedy}"
        )
    return head + b"\n}", True


def seal_checkpoint(content: bytes) -> tuple[bytes, bytes]:
    """A line with the SHA-256 of the bytes, and the bytes, which are not copied."""
    return _FIRST_LINE % _hex(content), content


def unseal_checkpoint(content: bytes, path: Path) -> bytes:
    """What was sealed.

    Raises:
        StorageError: it was changed since.
    """
    line, rest = content[:_FIRST_LINE_LENGTH], content[_FIRST_LINE_LENGTH:]
    if line != _FIRST_LINE % _hex(rest):
        raise StorageError(
            f"the checkpoint {path} was changed after it was written (its checksum differs); "
            "delete its folder to train anew"
        )
    return rest


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; raises OSError."""
    with check_input(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_file(path: Path, expected: str | None, content: bytes | None = None) -> None:
    """Raise a StorageError unless a file of a run is the one whose SHA-256 was noted.

    `expected` is None where the run had no such file. `content` is what was read of it, if it was.
    """
    found: str | None
    try:
        found = hashlib.sha256(content).hexdigest() if content is not None else checksum(path)
    except FileNotFoundError:
        found = None
    except OSError as error:
        raise StorageError(
            f"{path} cannot be read: {error.strerror}; check the disk and the file's permissions"
        ) from error
    if found == expected:
        return
    if found is None:
        raise StorageError(f"{path} is missing, and was there when the run ended; {TRAIN_AGAIN}")
    if expected is None:
        raise StorageError(f"{path} was not there when the run ended; remove it")
    raise StorageError(
        f"{path} was changed after the run had ended (its checksum differs); {TRAIN_AGAIN}"
    )


def id_in_name(folder: Path) -> str:
    """The run's id at the end of a folder's name, or "" where there is none.

    >>> id_in_name(Path("runs/b00-bn-f06e4a15fb38")), id_in_name(Path("best-run"))
    ('f06e4a15fb38', '')
    """
    match = _RUN_ID.fullmatch(folder.name)
    return match[1] if match else ""


def _hex(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


@contextmanager
def out_of_collection() -> Iterator[None]:
    """Leave all that is in memory now out of what the collector of cycles walks through.

    For work on many records that stay: judging 100,000 runs took a third longer with them in it.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def no_collection() -> Iterator[None]:
    """Without the collector of reference cycles: many records are read, and none of them dies.

    It walks through all that was read so far again and again, a third of the time of reading 1,000
    runs × 100 epochs.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
