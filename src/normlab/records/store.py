"""One folder a run: rows are appended and flushed, everything else is written beside and renamed.

    runs/<block>-<arm>-<id>/
        spec.json  environment.json  epochs.jsonl  layers.jsonl  outcome.json
        predictions.npz  weights.safetensors  checkpoint/  log.txt

At whatever moment the process dies, the folder can be read and the run can go on.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import struct
import tokenize
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np
from pydantic import TypeAdapter, ValidationError

from normlab.errors import LeaseLostError, StorageError
from normlab.records.layer_diagnostics import LayerDiagnosticsRow
from normlab.records.lease import Lease, take_lease
from normlab.records.run import EpochRow, Frozen, Outcome, RunSpec

Environment = dict[str, Any]
TUNING_RESULTS = "tuning.json"
"""The file of a study's folder with the account of its tuning, a `TuningResults`."""
DATA = "data.json"
"""The file of a study's folder with what was found in its data, a `DataReport`."""
Model = TypeVar("Model", bound=Frozen)
TRAIN_AGAIN = "delete the run's folder to train it again"
DAMAGED_ARRAYS = (
    *(OSError, ValueError, KeyError, TypeError, IndexError, EOFError, MemoryError),
    *(RuntimeError, SyntaxError, struct.error, tokenize.TokenError, zlib.error, BadZipFile),
)
"""What reading a cut or altered .npz may raise: of the zip, and of its headers of Python text."""
_ROWS = TypeAdapter(tuple[EpochRow, ...])
_LAYER_DIAGNOSTICS = TypeAdapter(tuple[LayerDiagnosticsRow, ...])
Guard = Callable[[], None]
"""Raises where a process must not write."""
_FIELD_SETS: dict[frozenset[str], set[str]] = {}


@dataclass(frozen=True)
class RunRecord:
    """All that a run left behind, read back; `outcome` is None while it has not ended."""

    folder: Path
    spec: RunSpec
    environment: Environment
    rows: tuple[EpochRow, ...]
    outcome: Outcome | None


@dataclass(frozen=True)
class Predictions:
    """Per test image: its id, its true class and the probability of each class."""

    ids: np.ndarray
    """Shape (images,), text: the path inside the source."""
    labels: np.ndarray
    """Shape (images,), integer class index."""
    probabilities: np.ndarray
    """Shape (images, classes), float32, rows sum to 1."""
    groups: np.ndarray | None = None
    """Shape (images,), integer: images of one number belong together (copies, one animal, one
    patient); None in records that were made before it was kept."""


def no_guard() -> None:
    """Allow every write, as to a folder that no lease protects."""


def atomic_write(path: Path, content: bytes, guard: Guard = no_guard) -> None:
    """Write the file whole or not at all: beside it, flushed to disk, then renamed.

    `guard` is called in the last moment before the file becomes visible, and raises where it must
    not.

    Raises:
        StorageError: the folder cannot be written or the disk is full; no half file is left.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(content)
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


class RunFolder:
    """The folder of one run; the only code that knows its files.

    What is written inside of `leased` is written by one process at a time.
    """

    def __init__(self, path: Path) -> None:
        """Bind to the folder; nothing is read or made yet."""
        self.path = path
        self.checkpoint_path = path / "checkpoint"
        self.weights_path = path / "weights.safetensors"
        self._lease: Lease | None = None

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
            self._write_model("spec.json", spec)
        content = json.dumps(environment, indent=1, sort_keys=True)
        atomic_write(self.path / "environment.json", content.encode(), self.check_lease)

    def append_row(self, row: EpochRow) -> None:
        """Append one finished epoch and flush it to disk."""
        self._append("epochs.jsonl", row.model_dump_json())

    def append_layer_diagnostics(self, row: LayerDiagnosticsRow) -> None:
        """Append what was measured inside the network in an epoch, and flush it to disk."""
        self._append("layers.jsonl", row.model_dump_json())

    def keep_rows(self, epochs: int) -> tuple[EpochRow, ...]:
        """Drop rows after the given epoch (and a half-written one); returns those kept."""
        rows = tuple(row for row in self.read_rows() if row.epoch <= epochs)
        self._write_lines("epochs.jsonl", rows)
        if (self.path / "layers.jsonl").exists():
            diagnostics = tuple(row for row in self.read_layer_diagnostics() if row.epoch <= epochs)
            self._write_lines("layers.jsonl", diagnostics)
        return rows

    def read_rows(self) -> tuple[EpochRow, ...]:
        """The finished epochs; a last line that was cut in half is not one of them.

        Raises:
            StorageError: a line is damaged, or the epochs are not 1, 2, 3, ….
        """
        rows = _share_field_sets(self._read_lines("epochs.jsonl", EpochRow, _ROWS))
        for number, row in enumerate(rows, start=1):
            if row.epoch != number:
                raise StorageError(
                    f"{self.path / 'epochs.jsonl'} line {number} is of epoch {row.epoch} where "
                    f"epoch {number} belongs; {TRAIN_AGAIN}"
                )
        return rows

    def read_layer_diagnostics(self) -> tuple[LayerDiagnosticsRow, ...]:
        """What went on inside the network, epoch by epoch; empty where it was not recorded."""
        return self._read_lines("layers.jsonl", LayerDiagnosticsRow, _LAYER_DIAGNOSTICS)

    def write_predictions(self, predictions: Predictions) -> None:
        """Store what the network said of every test image."""
        buffer = io.BytesIO()
        arrays = {
            "ids": predictions.ids,
            "labels": predictions.labels,
            "probabilities": predictions.probabilities,
        }
        if predictions.groups is not None:
            arrays["groups"] = predictions.groups
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        atomic_write(self.path / "predictions.npz", buffer.getvalue(), self.check_lease)

    def read_predictions(self) -> Predictions | None:
        """What the network said of every test image, or None if the run has not.

        Raises:
            StorageError: the file is damaged.
        """
        path = self.path / "predictions.npz"
        if not path.exists():
            return None
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
                groups = content["groups"] if "groups" in content.files else None
                found = Predictions(
                    content["ids"], content["labels"], content["probabilities"], groups
                )
        except DAMAGED_ARRAYS as error:
            raise StorageError(f"{path} is damaged; {TRAIN_AGAIN}") from error
        return found

    def write_outcome(self, outcome: Outcome) -> None:
        """Seal the run: written last, when everything else is in place."""
        self._write_model("outcome.json", outcome)

    def discard_checkpoint(self) -> None:
        """Remove what only a continuation would need."""
        self.check_lease()
        shutil.rmtree(self.checkpoint_path, ignore_errors=True)

    def log(self, text: str) -> None:
        """Append a line to log.txt."""
        self._append("log.txt", text.rstrip())

    def read_outcome(self) -> Outcome | None:
        """The outcome, or None while the run has not ended."""
        return read_optional(self.path / "outcome.json", Outcome)

    def read(self, *, rows: bool = True) -> RunRecord:
        """Everything but the predictions and the weights; on demand without the epochs.

        Raises:
            StorageError: a file is missing or damaged.
        """
        environment_path = self.path / "environment.json"
        environment: Environment = {}
        if environment_path.exists():
            try:
                environment = json.loads(environment_path.read_text(encoding="utf-8"))
            except (ValueError, RecursionError) as error:
                raise StorageError(f"{environment_path} is damaged; {TRAIN_AGAIN}") from error
        spec = _read_model(self.path / "spec.json", RunSpec)
        outcome = self.read_outcome()  # before the rows, which are there when it is written
        own_rows = self.read_rows() if rows else ()
        if rows and outcome is not None and outcome.is_final and len(own_rows) < outcome.epochs:
            raise StorageError(
                f"{self.path / 'epochs.jsonl'} has {len(own_rows)} of {outcome.epochs} epochs; "
                + TRAIN_AGAIN
            )
        return RunRecord(self.path, spec, environment, own_rows, outcome)

    def _read_lines(
        self, name: str, model: type[Model], whole: TypeAdapter[tuple[Model, ...]]
    ) -> tuple[Model, ...]:
        path = self.path / name
        if not path.exists():
            return ()
        lines = path.read_bytes().split(b"\n")[:-1]  # what is after the last \n is half
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
        content = "".join(row.model_dump_json() + "\n" for row in rows)
        atomic_write(self.path / name, content.encode(), self.check_lease)

    def _append(self, name: str, line: str) -> None:
        self.check_lease()
        append_lines(self.path / name, [line])

    def _write_model(self, name: str, model: Frozen) -> None:
        write_model(self.path / name, model, self.check_lease)


def _share_field_sets(rows: tuple[EpochRow, ...]) -> tuple[EpochRow, ...]:
    """Let the rows share what pydantic keeps of each one: the set of the fields that were given.

    A set for every one of 300,000 values is 65 MB in a study of 1,000 runs × 100 epochs.
    """
    for row in rows:
        for model in (row, row.train, row.validation):
            given = model.__pydantic_fields_set__
            shared = _FIELD_SETS.setdefault(frozenset(given), given)
            object.__setattr__(model, "__pydantic_fields_set__", shared)
    return rows


def read_optional(path: Path, model: type[Model]) -> Model | None:
    """The content of a JSON file, or None where there is none.

    Raises:
        StorageError: it is damaged.
    """
    return _read_model(path, model) if path.exists() else None


def write_model(path: Path, model: Frozen, guard: Guard = no_guard) -> None:
    """Write a value as JSON, whole or not at all; see `atomic_write`."""
    atomic_write(path, (model.model_dump_json(indent=1) + "\n").encode(), guard)


def _read_model(path: Path, model: type[Model]) -> Model:
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise StorageError(f"{path} is missing; this folder is not a normlab run") from None
    except ValidationError as error:
        raise StorageError(
            f"{path} is damaged or of another version of normlab ({error.errors()[0]['msg']})"
            + (f"; {TRAIN_AGAIN}" if model in (RunSpec, Outcome) else "")
        ) from error


def run_folders(study_folder: Path) -> Iterator[RunFolder]:
    """The run folders of a study, in the order of their names, without those of its tuning."""
    for path in sorted((study_folder / "runs").glob("*/spec.json")):
        yield RunFolder(path.parent)


def read_runs(study_folder: Path, *, rows: bool = True) -> Sequence[RunRecord]:
    """All runs of a study that have at least a spec."""
    return [folder.read(rows=rows) for folder in run_folders(study_folder)]
