"""Read a study folder for judging: what can be read is read, what cannot is named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from normlab.errors import StorageError
from normlab.records.data_report import PROBE, DataReport, Probe
from normlab.records.files import no_collection
from normlab.records.plan import StudyPlan, read_plan
from normlab.records.store import (
    DATA,
    TUNING_RESULTS,
    Predictions,
    RunFolder,
    RunRecord,
    names_in,
    read_optional,
    run_folders,
)
from normlab.records.tuning_results import TuningResults


@dataclass(frozen=True)
class Unreadable:
    """A folder under runs/ that holds no readable run, and why."""

    folder: str
    reason: str


@dataclass(frozen=True, eq=False)
class StudyRecords:
    """The plan of a study and all of its runs."""

    folder: Path
    plan: StudyPlan
    runs: tuple[RunRecord, ...]
    unreadable: tuple[Unreadable, ...]
    tuning_results: TuningResults | None = None
    """The account of the tuning, once it has ended."""
    data: DataReport | None = None
    """What was found in the data when the study began."""
    probe: Probe | None = None
    """What a short run before it showed."""
    planned_compare: str | None = None
    """The factor that the plan compares, where these records were regrouped by another one."""


def read_study(folder: Path) -> StudyRecords:
    """Read study.toml and every run folder.

    A damaged run does not hide the others: it is listed with its reason, and its cell counts as
    missing.

    Raises:
        PlanError: there is no study.toml, or it cannot be used.
    """
    plan = read_plan(folder / "study.toml")
    runs = []
    unreadable = []
    readable = tuple(run_folders(folder))
    with no_collection():
        for run_folder in readable:
            try:
                runs.append(run_folder.read())
            except (StorageError, ValueError, OSError) as error:  # ValueError: JSON cut in half
                unreadable.append(Unreadable(run_folder.path.name, str(error)))
    known = {run_folder.path.name for run_folder in readable}
    unreadable += [
        Unreadable(name, "there is no spec.json in it")
        for name in names_in(folder / "runs")
        if name not in known and (folder / "runs" / name).is_dir()
    ]
    return StudyRecords(
        folder,
        plan,
        tuple(runs),
        tuple(unreadable),
        tuning_results=read_optional(folder / TUNING_RESULTS, TuningResults),
        data=read_optional(folder / DATA, DataReport),
        probe=read_optional(folder / PROBE, Probe),
    )


def usable_predictions(record: RunRecord) -> Predictions | None:
    """The predictions of a run; None where there are none, or none that fit its classes."""
    try:
        found = RunFolder(record.folder).read_predictions()
    except StorageError:
        return None
    classes = len(record.spec.data.classes)
    if found is None or found.probabilities.shape != (len(found.labels), classes):
        return None
    return found if found.labels.size and found.labels.max() < classes else None
