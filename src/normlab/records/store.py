"""One folder a run: rows are appended and flushed, everything else is written beside and renamed.

    runs/<block>-<arm>-<id>/
        spec.json  environment.json  epochs.jsonl  layers.jsonl  outcome.json
        predictions.npz  weights.safetensors  checkpoint/  log.txt

At whatever moment the process dies, the folder can be read and the run can go on. The outcome of a
run that is final vouches for its other files; see normlab.records.files. Whatever is read is
checked against it, and a file that does not fit is a StorageError, never a result.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from normlab.errors import StorageError
from normlab.records.files import (
    TRAIN_AGAIN,
    VOUCHED_FILES,
    Model,
    SealedOutcome,
    append_lines,
    check_file,
    checksum,
    id_in_name,
    no_collection,
    parse_spec,
    read_bytes,
    read_outcome,
    seal,
)
from normlab.records.files import Guard as Guard
from normlab.records.files import atomic_write as atomic_write
from normlab.records.files import no_guard as no_guard
from normlab.records.files import read_optional as read_optional
from normlab.records.files import write_model as write_model
from normlab.records.layer_diagnostics import LayerDiagnosticsRow
from normlab.records.lean.rows import EpochTable
from normlab.records.lease import Lease, take_lease
from normlab.records.predictions import Predictions as Predictions
from normlab.records.predictions import check_agreement, pack, unpack
from normlab.records.run import EpochRow, Frozen, Outcome, RunSpec

Environment = dict[str, Any]
TUNING_RESULTS = "tuning.json"
"""The file of a study's folder with the account of its tuning, a `TuningResults`."""
DATA = "data.json"
"""The file of a study's folder with what was found in its data, a `DataReport`."""
_ROWS = TypeAdapter(tuple[EpochRow, ...])
_LAYER_DIAGNOSTICS = TypeAdapter(tuple[LayerDiagnosticsRow, ...])
Files = Mapping[str, str]
"""SHA-256 of files by their names."""
_shared_json = functools.lru_cache(256)(from_json)
"""Of facts that most runs of a study have alike, 3 kB each."""


@dataclass(frozen=True)
class RunRecord:
    """All that a run left behind, read back; `outcome` is None while it has not ended."""

    folder: Path
    spec: RunSpec
    environment: Environment
    rows: Sequence[EpochRow]
    """An EpochTable, where it was read with its rows; normlab.records.lean.rows.column reads it."""
    outcome: Outcome | None
    vouched: bool = field(default=False, compare=False)
    """Whether the outcome holds checksums of the other files; records of before have none."""


class RunFolder:
    """The folder of one run; the only code that knows its files.

    What is written inside of `leased` is written by one process at a time.
    """

    def __init__(self, path: Path) -> None:
        """Bind to the folder; nothing is read or made yet."""
        self.path = path
        self._lease: Lease | None = None
        self._appended: dict[str, Any] = {}
        """SHA-256 of the files that this process appends to, as it wrote them."""

    @property
    def checkpoint_path(self) -> Path:
        """The folder of what only a continuation needs."""
        return self.path / "checkpoint"

    @property
    def weights_path(self) -> Path:
        """The weights at the reported epoch."""
        return self.path / "weights.safetensors"

    @contextlib.contextmanager
    def leased(self) -> Iterator[bool]:
        """Be the one writer of the folder while the block runs; False where another process is."""
        lease = take_lease(self.path)
        if lease is None:
            yield False
            return
        self._lease = lease
        try:
            yield True
        finally:
            self._lease = None
            lease.release()

    def check_lease(self) -> None:
        """Raise a LeaseLostError if another process has become the writer meanwhile."""
        if self._lease is not None:
            self._lease.check()

    def create(self, spec: RunSpec, environment: Environment) -> None:
        """Write the spec (once) and the environment (of this continuation)."""
        if not (self.path / "spec.json").exists():
            content = (spec.model_dump_json(indent=1) + "\n").encode()
            atomic_write(self.path / "spec.json", content, self.check_lease)
        facts = json.dumps(environment, indent=1, sort_keys=True).encode()
        atomic_write(self.path / "environment.json", facts, self.check_lease)

    def append_row(self, row: EpochRow) -> None:
        """Append one finished epoch and flush it to disk."""
        self._append("epochs.jsonl", row.model_dump_json())

    def append_layer_diagnostics(self, row: LayerDiagnosticsRow) -> None:
        """Append what was measured inside the network in an epoch, and flush it to disk."""
        self._append("layers.jsonl", row.model_dump_json())

    def row_checksums(self) -> dict[str, str]:
        """SHA-256 of the rows as this process wrote them, for the checkpoint to hold."""
        return {name: digest.hexdigest() for name, digest in self._appended.items()}

    def keep_rows(self, epochs: int, checksums: Files | None = None) -> tuple[EpochRow, ...]:
        """Drop rows after the given epoch (and a half-written one); returns those kept.

        Raises:
            StorageError: rows are missing, or are not those whose SHA-256 a checkpoint has noted.
        """
        rows = tuple(row for row in self.read_rows() if row.epoch <= epochs)
        if checksums is not None and len(rows) < epochs:
            raise StorageError(
                f"{self.path / 'epochs.jsonl'} has {len(rows)} epochs and the checkpoint is of "
                f"epoch {epochs}; {TRAIN_AGAIN}"
            )
        inside = tuple(row for row in self.read_layer_diagnostics() if row.epoch <= epochs)
        for name, count in (("epochs.jsonl", len(rows)), ("layers.jsonl", len(inside))):
            path = self.path / name
            content = b"".join(line + b"\n" for line in self._lines(name)[:count])
            expected = (checksums or {}).get(name)
            if expected is not None and hashlib.sha256(content).hexdigest() != expected:
                raise StorageError(
                    f"{path} was changed since the checkpoint (its checksum differs); {TRAIN_AGAIN}"
                )
        self._write_lines("epochs.jsonl", rows)
        if inside or (self.path / "layers.jsonl").exists():
            self._write_lines("layers.jsonl", inside)
        return rows

    def read_rows(self) -> tuple[EpochRow, ...]:
        """The finished epochs; a last line that was cut in half is not one of them.

        Raises:
            StorageError: a line is damaged, the epochs are not 1, 2, 3, …, or the run has ended and
                its rows were changed since.
        """
        return self._rows(self._vouched())

    def _rows(self, files: Files | None) -> tuple[EpochRow, ...]:
        rows = self._read_lines("epochs.jsonl", EpochRow, _ROWS, files)
        for number, row in enumerate(rows, start=1):
            if row.epoch != number:
                raise StorageError(
                    f"{self.path / 'epochs.jsonl'} line {number} is of epoch {row.epoch} where "
                    f"epoch {number} belongs; {TRAIN_AGAIN}"
                )
        return rows

    def read_layer_diagnostics(self) -> tuple[LayerDiagnosticsRow, ...]:
        """What went on inside the network, epoch by epoch; empty where it was not recorded.

        Raises:
            StorageError: a line is damaged, or the run has ended and the file was changed since.
        """
        return self._read_lines(
            "layers.jsonl", LayerDiagnosticsRow, _LAYER_DIAGNOSTICS, self._vouched()
        )

    def write_predictions(self, predictions: Predictions) -> None:
        """Store what the network said of every test image."""
        atomic_write(self.path / "predictions.npz", pack(predictions), self.check_lease)

    def read_predictions(self) -> Predictions | None:
        """What the network said of every test image, or None if the run has not.

        Those of a run whose outcome vouches for them are what was written. Those of another must
        agree with its outcome; see normlab.records.predictions.check_agreement.

        Raises:
            StorageError: the file is damaged, or is not that of this run.
        """
        path = self.path / "predictions.npz"
        outcome, files = self._outcome()
        content = read_bytes(path)
        if content is None:
            if files is not None and path.name in files:
                check_file(path, files[path.name])
            return None
        if files is not None:
            check_file(path, files.get(path.name), content)
            return unpack(content, path)
        found = unpack(content, path)
        if outcome is not None and outcome.test is not None:
            check_agreement(found, outcome.test, None, path)
        return found

    def check_file(self, name: str) -> None:
        """Raise a StorageError unless a file is as it was when the run ended.

        Nothing is raised where the run has not ended, or was made before there were checksums.
        """
        files = self._vouched()
        if files is not None:
            check_file(self.path / name, files.get(name))

    def write_outcome(self, outcome: Outcome) -> None:
        """Seal the run: written last, when everything else is in place.

        The outcome of a run that is final vouches for the files that are there.
        """
        files = {}
        if outcome.is_final:
            known = self.row_checksums()
            present = [name for name in VOUCHED_FILES if (self.path / name).exists()]
            files = {name: known.get(name) or checksum(self.path / name) for name in present}
        stored = SealedOutcome(**dict(outcome), run=id_in_name(self.path), files=files)
        content = seal(stored.model_dump_json(indent=1).encode())
        atomic_write(self.path / "outcome.json", content, self.check_lease)

    def discard_checkpoint(self) -> None:
        """Remove what only a continuation would need."""
        self.check_lease()
        shutil.rmtree(self.checkpoint_path, ignore_errors=True)

    def log(self, text: str) -> None:
        """Append a line to log.txt."""
        self._append("log.txt", text.rstrip())

    def read_outcome(self) -> Outcome | None:
        """The outcome, or None while the run has not ended.

        Raises:
            StorageError: it is damaged, was changed, or is that of another run.
        """
        return self._outcome()[0]

    def read(self, *, rows: bool = True) -> RunRecord:
        """Everything but the predictions and the weights; on demand without the epochs.

        Raises:
            StorageError: a file is missing or damaged, was changed, or is that of another run.
        """
        outcome, files = self._outcome()  # before the rows, which are there when it is written
        spec = self.read_spec(files)
        environment = self._read_environment(files)
        own_rows = EpochTable.of(self._rows(files)) if rows else ()
        done = max([0 if outcome is None else outcome.epochs, len(own_rows)])
        if done > spec.epochs:
            raise StorageError(
                f"{self.path} holds {done} epochs of a run of {spec.epochs}; {TRAIN_AGAIN}"
            )
        if rows and outcome is not None and outcome.is_final and len(own_rows) < outcome.epochs:
            raise StorageError(
                f"{self.path / 'epochs.jsonl'} has {len(own_rows)} of {outcome.epochs} epochs; "
                + TRAIN_AGAIN
            )
        return RunRecord(self.path, spec, environment, own_rows, outcome, vouched=files is not None)

    def read_spec(self, files: Files | None = None) -> RunSpec:
        """What the run is; its id must be the one in the folder's name.

        Raises:
            StorageError: it is missing, damaged, or that of another run.
        """
        path = self.path / "spec.json"
        content = read_bytes(path)
        if content is None:
            raise StorageError(f"{path} is missing; this folder is not a normlab run")
        if files is not None:
            check_file(path, files.get(path.name), content)
        spec = parse_spec(content, path)
        if id_in_name(self.path) not in ("", spec.id):
            raise StorageError(
                f"{path} is that of the run {spec.id}, not of this folder; {TRAIN_AGAIN}"
            )
        return spec

    def _read_environment(self, files: Files | None) -> Environment:
        path = self.path / "environment.json"
        content = read_bytes(path)
        if files is not None:
            check_file(path, files.get(path.name), content)
        if content is None:
            return {}
        try:
            environment = _shared_json(content)
        except ValueError as error:
            raise StorageError(f"{path} is damaged; {TRAIN_AGAIN}") from error
        if isinstance(environment, dict):
            return environment
        raise StorageError(f"{path} is damaged; {TRAIN_AGAIN}")

    def _outcome(self) -> tuple[Outcome | None, Files | None]:
        """The outcome, and the checksums of the other files if it is final and has them."""
        stored = read_outcome(self.path / "outcome.json", id_in_name(self.path))
        if not isinstance(stored, SealedOutcome):
            return stored, None
        return stored.plain, stored.files if stored.is_final else None

    def _vouched(self) -> Files | None:
        return self._outcome()[1]

    def _lines(self, name: str, files: Files | None = None) -> list[bytes]:
        """The whole lines of a file; what is after the last one is half."""
        path = self.path / name
        content = read_bytes(path)
        if files is not None and (content is not None or name in files):
            check_file(path, files.get(name), content)
        return [] if content is None else content.split(b"\n")[:-1]

    def _read_lines(
        self,
        name: str,
        model: type[Model],
        whole: TypeAdapter[tuple[Model, ...]],
        files: Files | None,
    ) -> tuple[Model, ...]:
        path = self.path / name
        lines = self._lines(name, files)
        try:  # all lines at once take a fraction of the time
            return whole.validate_json(b"[" + b",".join(lines) + b"]")
        except ValidationError:
            pass  # find out which
        rows = []
        for number, line in enumerate(lines, start=1):
            try:
                rows.append(model.model_validate_json(line))
            except ValidationError as error:
                raise StorageError(f"{path} line {number} is damaged; {TRAIN_AGAIN}") from error
        return tuple(rows)

    def _write_lines(self, name: str, rows: Sequence[Frozen]) -> None:
        content = "".join(row.model_dump_json() + "\n" for row in rows).encode()
        atomic_write(self.path / name, content, self.check_lease)
        self._appended[name] = hashlib.sha256(content)

    def _append(self, name: str, line: str) -> None:
        self.check_lease()
        is_new = not (self.path / name).exists()
        append_lines(self.path / name, [line])
        if is_new and name in VOUCHED_FILES:
            self._appended[name] = hashlib.sha256()
        if name in self._appended:
            self._appended[name].update(line.encode() + b"\n")


def run_folders(study_folder: Path) -> Iterator[RunFolder]:
    """The run folders of a study, in the order of their names, without those of its tuning."""
    runs = study_folder / "runs"
    for name in names_in(runs):
        if os.path.exists(f"{runs}/{name}/spec.json"):  # noqa: PTH110 - of 100,000
            yield RunFolder(runs / name)


def names_in(folder: Path) -> list[str]:
    """The names in a folder, in order; none where it cannot be listed."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return []


def read_runs(study_folder: Path, *, rows: bool = True) -> Sequence[RunRecord]:
    """All runs of a study that have at least a spec."""
    with no_collection():
        return [folder.read(rows=rows) for folder in run_folders(study_folder)]
