"""What a study's folder says of its runs and its data: all that a job needs of it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from normlab.errors import PlanError, StorageError
from normlab.records.network import OWN_TRAINING
from normlab.records.plan import StudyPlan
from normlab.records.run import RunSpec
from normlab.records.store import RunFolder

if TYPE_CHECKING:
    from normlab.data.dataset import Dataset

LEFT = ("checkpoint", ".lease-*")


def run_folder(study: Path, spec: RunSpec) -> RunFolder:
    """Where a run lives: runs/, or tuning/ if it serves tuning alone."""
    return RunFolder(Path(run_path(study, spec)))


def run_path(study: Path, spec: RunSpec) -> str:
    """The same as text: paths of the files of 100,000 runs take longer to make than to open."""
    return f"{study}/{'tuning' if spec.is_tuning else 'runs'}/{spec.folder_name}"


def sweep(study: Path) -> None:
    """Remove what a process left that died when its run was final, but not all was put away: the
    checkpoint, the lease.
    """
    for kind in ("runs", "tuning"):
        left = {path.parent for name in LEFT for path in (study / kind).glob(f"*/{name}")}
        for path in sorted(left):
            folder = RunFolder(path)
            with suppress(StorageError), folder.leased() as is_ours:  # a dead one goes with ours
                outcome = folder.read_outcome()
                if is_ours and outcome is not None and outcome.is_final:
                    folder.discard_checkpoint()


def load_study_data(folder: Path, plan: StudyPlan, location: str | None = None) -> Dataset:
    """The study's data, prepared and checked; `location` says where it has moved.

    Raises:
        PlanError: these are not the images that the study was started on.
    """
    from normlab.data.dataset import load_data
    from normlab.data.duplicates.near_duplicates import with_duplicates

    refuse_own(folder, plan)
    source = location or plan.data.source
    dataset = load_data(source, plan.data.image_size, plan.data.resize, for_training=True)
    dataset = with_duplicates(dataset, plan.data.copies, plan.data.pairs)
    check_data(folder, plan, dataset)
    return dataset


def refuse_own(folder: Path, plan: StudyPlan) -> None:
    """Raise a PlanError where the runs are made by a program of the user's own."""
    if plan.training.network.name == OWN_TRAINING:
        raise PlanError(
            f"the runs of {folder} are calls of {plan.training.network.options['training']}, which "
            "the program that made the study has; go on with that program (blocks=… for more)"
        )


def check_data(folder: Path, plan: StudyPlan, dataset: Dataset) -> None:
    """Raise a PlanError if these are not the images that the study was started on."""
    assert plan.frozen is not None
    if dataset.manifest.fingerprint != plan.frozen.fingerprint:
        raise PlanError(
            f"the images are not those that {folder} was started on (their fingerprint "
            "differs); restore them, or start another study"
        )
    if plan.frozen.groups not in ("", dataset.manifest.groups_hash):
        raise PlanError(
            f"the copies among the images are not grouped as when {folder} was started "
            "(by another version of normlab?), so its splits would differ; start another study"
        )
