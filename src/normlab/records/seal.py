"""Checksums inside of the records: what was changed after it had been written is not used.

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

import hashlib
import re
from pathlib import Path

from normlab.errors import StorageError
from normlab.records.run import Outcome

TRAIN_AGAIN = "delete the run's folder to train it again"
VOUCHED_FILES = (
    *("spec.json", "environment.json", "epochs.jsonl", "layers.jsonl"),
    *("predictions.npz", "weights.safetensors"),
)
"""Of a run's folder; log.txt is for people, and the checkpoint is gone when a run is final."""
_SEAL = re.compile(rb',\n "sha256": "([0-9a-f]{64})"\n\}\n\Z')
_FIRST_LINE = b"normlab checkpoint 1 sha256 %s\n"
_FIRST_LINE_LENGTH = len(_FIRST_LINE) - 2 + 64
_RUN_ID = re.compile(r".*-([0-9a-f]{12})")


class SealedOutcome(Outcome):
    """An outcome as it is stored."""

    run: str
    """The id of the run; "" where the folder is not named after one."""
    files: dict[str, str]
    """SHA-256 of the run's other files, if the outcome is final."""

    @property
    def plain(self) -> Outcome:
        """What became of the run, without what the record says of itself."""
        names = Outcome.model_fields
        given = self.model_fields_set & set(names)
        return Outcome.model_construct(given, **{name: getattr(self, name) for name in names})


def seal(content: bytes) -> bytes:
    r"""A JSON object of several lines, with its SHA-256 as the last key.

    >>> seal(b'{\n "a": 1\n}').decode().splitlines()[1]
    ' "a": 1,'
    """
    head = content.rstrip().removesuffix(b"}").rstrip()
    return head + b',\n "sha256": "%s"\n}\n' % _hex(head)


def unseal(content: bytes, path: Path, remedy: str) -> tuple[bytes, bool]:
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
    with path.open("rb") as file:
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
