"""Accuracy of finished runs as the test images change: rows in one file of the study."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field, TypeAdapter

from normlab.errors import StorageError
from normlab.inputs import check_input
from normlab.records.files import append_lines
from normlab.records.run import Frozen, Share
from normlab.text import shell_command

ROBUSTNESS = "stress.jsonl"
"""The file in the study's folder that holds the rows."""
CORRUPTIONS: dict[str, tuple[float, float, float, float, float]] = {
    "contrast": (0.75, 0.5, 0.35, 0.2, 0.1),
    "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),
    "blur": (1 / 80, 1 / 50, 1 / 32, 1 / 21, 1 / 14),
    "noise": (0.04, 0.08, 0.12, 0.18, 0.26),
    "jpeg": (50, 30, 20, 10, 5),
    "colour cast": (0.05, 0.1, 0.2, 0.3, 0.4),
    "rotation": (5, 10, 20, 30, 45),
}
"""Five strengths each; see normlab.explain.corruptions for what they mean."""
AS_IT_IS = "as it is"
COMPOSITION = "batch"
COMPOSITIONS = ("32", "8", "2", "one class")
"""Images a batch whose own statistics normalize; the last has batches of one class alone."""


class RobustnessRow(Frozen):
    """One run under one condition."""

    run: str
    """The name of its folder."""
    change: str
    """AS_IT_IS, a key of CORRUPTIONS, or COMPOSITION."""
    level: str
    """"0" as it is, "1" to "5" for a change, one of COMPOSITIONS for a batch."""
    accuracy: Share
    images: int = Field(ge=1)
    seed: int
    """The seed of the choice of the images and of what is drawn for each."""

    @property
    def condition(self) -> tuple[str, str]:
        """The condition's change and level."""
        return self.change, self.level


_ROWS = TypeAdapter(tuple[RobustnessRow, ...])
_SUM = re.compile(rb',"crc32":"([0-9a-f]{8})"\}\Z')


def read_robustness(study: Path) -> tuple[RobustnessRow, ...]:
    """All rows of a study; a last line that was cut in half is not one of them.

    Raises:
        StorageError: the file is damaged, or a row is not what was written.
    """
    path = study / ROBUSTNESS
    if not path.exists():
        return ()
    lines = check_input(path).read_bytes().split(b"\n")[:-1]
    try:
        return _ROWS.validate_json(b"[" + b",".join(map(_unsealed, lines)) + b"]")
    except ValueError as error:  # pydantic's are, too
        raise StorageError(
            f"{path} is damaged; delete it, then measure again: {shell_command('stress', study)}"
        ) from error


def append_robustness(study: Path, rows: Iterable[RobustnessRow]) -> None:
    """Append rows and flush them to disk, behind whole lines."""
    path = study / ROBUSTNESS
    if path.exists() and not path.read_bytes().endswith(b"\n"):  # cut off while writing
        text = path.read_bytes()
        path.write_bytes(text[: text.rfind(b"\n") + 1])
    append_lines(path, [_sealed(row.model_dump_json()) for row in rows])


def _sealed(line: str) -> str:
    """The row with the CRC-32 of all before as its last key."""
    head = line.removesuffix("}")
    return f'{head},"crc32":"{zlib.crc32(head.encode()):08x}"}}'


def _unsealed(line: bytes) -> bytes:
    """The row that was sealed; one from before there were sums is as it is.

    Raises:
        ValueError: it was changed since.
    """
    match = _SUM.search(line)
    if match is None:
        return line  # with a key that no row has, where a sum was changed: it is refused
    head = line[: match.start()]
    if zlib.crc32(head) != int(match[1], 16):
        raise ValueError("its checksum differs")
    return head + b"}"


def latest(rows: Iterable[RobustnessRow]) -> tuple[RobustnessRow, ...]:
    """The rows of the last settings (images and seed), each condition of a run once."""
    found = list(rows)
    if not found:
        return ()
    settings = (found[-1].images, found[-1].seed)
    own = {(r.run, *r.condition): r for r in found if (r.images, r.seed) == settings}
    return tuple(own.values())
