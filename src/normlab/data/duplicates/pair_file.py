"""pairs.csv: every pair that a check has found, and what a person decided about it.

Images are known by the SHA-256 of their bytes, so that a decision holds in a folder, in a zip of it
and in a table that leads into it.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from normlab.data.duplicates.search_pairs import Duplicates
from normlab.data.scan import Manifest
from normlab.errors import DataError
from normlab.inputs import check_input, csv_rows
from normlab.records.store import atomic_write
from normlab.text import shell_command, table_cell

COLUMNS = (
    "first",
    "second",
    "name",
    "score",
    "relation",
    "decision",
    "first_sha256",
    "second_sha256",
)
ACCEPT, REJECT = "accept", "reject"


@dataclass(frozen=True, eq=False)
class Decisions:
    """What a person decided about pairs, by the hashes of both images, the smaller first."""

    accepted: frozenset[tuple[str, str]] = frozenset()
    rejected: frozenset[tuple[str, str]] = frozenset()

    def masks(
        self, manifest: Manifest, found: Duplicates
    ) -> tuple[Bool[np.ndarray, " k"], Bool[np.ndarray, " k"]]:
        """Which of the found pairs were accepted, and which rejected."""
        if not self.accepted and not self.rejected:
            return np.zeros(len(found), bool), np.zeros(len(found), bool)
        keys = [_key(*map(str, manifest.hashes[pair])) for pair in found.pairs]
        accepted = np.array([key in self.accepted for key in keys], bool)
        return accepted, np.array([key in self.rejected for key in keys], bool)


def write_pairs(manifest: Manifest, found: Duplicates, decisions: Decisions, path: Path) -> None:
    """Write all pairs, best first, with the decisions that were read.

    Raises:
        StorageError: the file cannot be written.
    """
    accepted, rejected = decisions.masks(manifest, found)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for k, (one, two) in enumerate(found.pairs.tolist()):
        writer.writerow(
            (
                table_cell(str(manifest.names[one])),
                table_cell(str(manifest.names[two])),
                found.name(k),
                f"{found.score[k]:.3f}",
                found.relation(k),
                ACCEPT if accepted[k] else REJECT if rejected[k] else "",
                manifest.hashes[one],
                manifest.hashes[two],
            )
        )
    atomic_write(path, buffer.getvalue().encode())


def read_pairs(path: Path, manifest: Manifest) -> Decisions:
    """Read the decisions in a pairs.csv of these images.

    Raises:
        DataError: the file is missing, is no pairs.csv, says something else than accept or reject,
            or is of another data set.
    """
    try:
        text = check_input(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"no file {path}; normlab check writes one beside check.json") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as a table of pairs: {error}") from None
    rows = _rows(text, path)
    known = set(map(str, manifest.hashes))
    strange = sum(not {row["first_sha256"], row["second_sha256"]} <= known for row in rows)
    if 2 * strange > len(rows):
        raise DataError(
            f"{path} is of another data set: {strange} of its {len(rows)} pairs name images that "
            f"are not in {manifest.location}; write one for it with: "
            + shell_command("check", manifest.location)
        )
    chosen: dict[str, set[tuple[str, str]]] = {ACCEPT: set(), REJECT: set(), "": set()}
    for line, row in enumerate(rows, start=2):
        said = row["decision"].strip().lower()
        if said not in chosen:
            raise DataError(
                f"{path}, line {line}: decision {row['decision']!r} is neither {ACCEPT!r} nor "
                f"{REJECT!r}; write one of them, or leave it empty"
            )
        chosen[said].add(_key(row["first_sha256"], row["second_sha256"]))
    if both := chosen[ACCEPT] & chosen[REJECT]:
        raise DataError(
            f"{path} both accepts and rejects the pair of {min(both)[0][:12]}… and "
            f"{min(both)[1][:12]}…; decide for one"
        )
    return Decisions(frozenset(chosen[ACCEPT]), frozenset(chosen[REJECT]))


def _rows(text: str, path: Path) -> list[dict[str, str]]:
    """The rows by their columns; what a short row lacks is empty."""
    lines = [row for _, row in csv_rows(text, str(path)) if row]
    header = lines[0] if lines else []
    needed = {"decision", "first_sha256", "second_sha256"}
    if not needed <= set(header):
        raise DataError(
            f"{path} has no column {min(needed - set(header))!r}, so it is no pairs.csv; "
            "normlab check writes one"
        )
    empty = dict.fromkeys(header, "")
    return [empty | dict(zip(header, row, strict=False)) for row in lines[1:]]


def _key(one: str, two: str) -> tuple[str, str]:
    return (one, two) if one < two else (two, one)
