"""Whether the records of a study are what was written: every file of every run, by its checksum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from normlab.errors import NormlabError, StorageError
from normlab.records.data_report import PROBE, DataReport, Probe
from normlab.records.files import VOUCHED_FILES, unseal_checkpoint
from normlab.records.plan import read_plan
from normlab.records.predictions import check_agreement
from normlab.records.robustness import read_robustness
from normlab.records.run import EpochRow, Outcome
from normlab.records.store import (
    DATA,
    TUNING_RESULTS,
    RunFolder,
    RunRecord,
    read_optional,
)
from normlab.records.tuning_results import TuningResults

ROW_TOLERANCE = 0.01
"""Of the validation figures in the outcome and in the row of the reported epoch: both are of the
same weights, but a GPU adds in another order each time."""


@dataclass(frozen=True)
class Fault:
    """A file that is not what was written."""

    place: str
    """The run's folder, or the file of the study."""
    sentence: str
    """What is wrong with it, and what to do."""


@dataclass(frozen=True)
class Verification:
    """What was found of a study; each run counts once."""

    vouched: int
    """Runs whose outcome vouches for all of their files, and rightly."""
    not_vouched: int
    """Runs from before there were checksums: their files are well-formed and agree."""
    open: int
    """Runs that have not ended."""
    damaged: int
    faults: tuple[Fault, ...]


def verify_study(study: Path, on_run: Callable[[str], None] = lambda name: None) -> Verification:
    """Read every file of a study and compare it with its checksum; nothing is changed.

    Of runs that are vouched for, too, the predictions must give the figures of the outcome, and the
    outcome those of its epoch. `on_run` is called with the name of every run before it is read.

    Raises:
        PlanError: there is no study.
    """
    read_plan(study / "study.toml")
    faults = [*_study_faults(study)]
    counts = {"vouched": 0, "not vouched": 0, "open": 0, "damaged": 0}
    for kind in ("runs", "tuning"):
        for path in sorted((study / kind).glob("*/")):
            on_run(path.name)
            state, found = verify_run(path)
            counts[state] += 1
            faults += [Fault(f"{kind}/{path.name}", sentence) for sentence in found]
    return Verification(
        counts["vouched"], counts["not vouched"], counts["open"], counts["damaged"], tuple(faults)
    )


def verify_run(path: Path) -> tuple[str, tuple[str, ...]]:
    """Whether a run is "vouched", "not vouched", "open" or "damaged", and its faults."""
    folder = RunFolder(path)
    faults: list[str] = []
    record = None
    try:
        record = folder.read()
    except (NormlabError, OSError) as error:
        faults.append(str(error))
    for check in (_files, _predictions, _layers, _checkpoint):
        try:
            check(folder, record)
        except (NormlabError, OSError) as error:
            faults.append(str(error))
    faults = list(dict.fromkeys(faults))
    if faults or record is None:
        return "damaged", tuple(faults)
    if record.outcome is None or not record.outcome.is_final:
        return "open", ()
    return ("vouched" if record.vouched else "not vouched"), ()


def _study_faults(study: Path) -> Iterator[Fault]:
    readers: dict[str, Callable[[], object]] = {
        DATA: lambda: read_optional(study / DATA, DataReport),
        PROBE: lambda: read_optional(study / PROBE, Probe),
        TUNING_RESULTS: lambda: read_optional(study / TUNING_RESULTS, TuningResults),
        "stress.jsonl": lambda: read_robustness(study),
    }
    for name, reader in readers.items():
        try:
            reader()
        except (NormlabError, OSError) as error:
            yield Fault(name, str(error))


def _files(folder: RunFolder, record: RunRecord | None) -> None:
    """Those that `RunFolder.read` does not read."""
    if record is not None and record.vouched:
        for name in VOUCHED_FILES:
            folder.check_file(name)


def _predictions(folder: RunFolder, record: RunRecord | None) -> None:
    found = folder.read_predictions()
    if record is None or record.outcome is None or record.outcome.test is None:
        return
    path = folder.path / "predictions.npz"
    if found is None:
        raise StorageError(f"{path} is missing; delete the run's folder to train it again")
    check_agreement(found, record.outcome.test, len(record.spec.data.classes), path)
    as_in_its_row = record.rows and not record.spec.precise_statistics
    if as_in_its_row and record.outcome.reported_epoch is not None:
        _compare_with_row(
            record.outcome, record.rows[record.outcome.reported_epoch - 1], folder.path
        )


def _compare_with_row(outcome: Outcome, row: EpochRow, path: Path) -> None:
    """The validation part was measured twice on the same weights."""
    found, noted = outcome.validation, row.validation
    if found is None:
        return
    apart = abs(found.accuracy - noted.accuracy)
    if found.images != noted.images or apart > ROW_TOLERANCE + 2 / noted.images:
        raise StorageError(
            f"{path / 'outcome.json'} has a validation accuracy of {found.accuracy:.4f} over "
            f"{found.images} images, and the row of its epoch {noted.accuracy:.4f} over "
            f"{noted.images}; delete the run's folder to train it again"
        )


def _layers(folder: RunFolder, record: RunRecord | None) -> None:
    folder.read_layer_diagnostics()


def _checkpoint(folder: RunFolder, record: RunRecord | None) -> None:
    path = folder.checkpoint_path / "state.ckpt"
    if path.exists():
        unseal_checkpoint(path.read_bytes(), path)
