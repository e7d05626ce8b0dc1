"""A study folder: study.toml, runs/ and report/. What is left to do follows from the records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from normlab.data.dataset import Dataset, load_data
from normlab.data.load import block_data
from normlab.data.near import with_near_copies
from normlab.errors import PlanError
from normlab.records.plan import StudyPlan, read_plan, write_plan
from normlab.records.schema import EpochRow, Outcome, RunSpec
from normlab.records.store import RunFolder, RunRecord, read_runs
from normlab.study.check import check_folder, check_plan
from normlab.study.design import freeze, plan_runs
from normlab.study.lock import study_lock
from normlab.train.execute import execute
from normlab.train.fit import AroundBatches

Event = tuple[RunSpec, EpochRow | Outcome]


class Study:
    """A study on disk.

    >>> study = Study.open("photos-study")               # doctest: +SKIP
    >>> for spec, event in study.run():                  # doctest: +SKIP
    ...     print(spec.arm, spec.block, event)
    """

    def __init__(self, folder: Path, plan: StudyPlan) -> None:
        """Bind a frozen plan to its folder; see `create` and `open`."""
        self.folder = folder
        self.plan = plan

    @classmethod
    def create(cls, folder: str | Path, plan: StudyPlan, dataset: Dataset) -> Study:
        """Freeze the plan over the data and write study.toml; an equal study is just opened.

        Raises:
            PlanError: the folder holds a study with another plan or other data.
            UsageError: an arm cannot be trained at this batch and image size.
        """
        study = cls.planned(folder, plan, dataset)
        study.save()
        return study

    @classmethod
    def planned(cls, folder: str | Path, plan: StudyPlan, dataset: Dataset) -> Study:
        """What `create` would make, with nothing written yet: `save` writes it."""
        folder = Path(folder)
        check_plan(plan)
        manifest = dataset.manifest
        frozen = freeze(plan, manifest.fingerprint, manifest.classes, manifest.groups_hash)
        study = cls(folder, frozen)
        if study.path.exists():
            return cls._reopen(folder, frozen)
        check_folder(folder, plan.data.source)
        return study

    @classmethod
    def open(cls, folder: str | Path) -> Study:
        """Open a study folder (or the study.toml in it).

        Raises:
            PlanError: there is no study, or its plan was changed after the start.
        """
        folder = Path(folder)
        if folder.name == "study.toml":
            folder = folder.parent
        plan = read_plan(folder / "study.toml")
        if plan.frozen is None:
            raise PlanError(
                f"{folder / 'study.toml'} was never started; run it with: "
                f"normlab run {folder / 'study.toml'}"
            )
        return cls(folder, plan)

    @classmethod
    def _reopen(cls, folder: Path, wanted: StudyPlan) -> Study:
        study = cls.open(folder)
        assert study.plan.frozen is not None
        assert wanted.frozen is not None
        if study.plan.frozen.fingerprint != wanted.frozen.fingerprint:
            raise PlanError(
                f"{folder} was started on other data than {wanted.data.source}; choose another "
                "folder with --out"
            )
        if study.plan.frozen.groups not in ("", wanted.frozen.groups):
            raise PlanError(
                f"{folder} was started with other groups of copies than are found now; choose "
                "another folder with --out"
            )
        if study.plan.frozen.hash != wanted.frozen.hash:
            raise PlanError(
                f"{folder} holds a study with another plan; continue that one with: normlab run "
                f"{folder}, or choose another folder with --out"
            )
        return study.with_blocks(max(wanted.blocks, study.plan.blocks))

    @property
    def path(self) -> Path:
        """The plan's file."""
        return self.folder / "study.toml"

    def set_blocks(self, blocks: int) -> None:
        """Give the study more (or fewer) blocks; runs that exist stay."""
        self.plan = self.with_blocks(blocks).plan
        self.save()

    def with_blocks(self, blocks: int) -> Study:
        """The same study with so many blocks, not written yet."""
        if blocks < 1:
            raise PlanError(f"a study has at least 1 block, got {blocks}")
        return Study(self.folder, self.plan.model_copy(update={"blocks": blocks}))

    def save(self) -> None:
        """Write study.toml."""
        write_plan(self.plan, self.path)

    def specs(self) -> list[RunSpec]:
        """All planned runs, block by block."""
        return plan_runs(self.plan)

    def run_folder(self, spec: RunSpec) -> RunFolder:
        """Where a run lives."""
        return RunFolder(self.folder / "runs" / spec.folder_name)

    def missing(self) -> list[RunSpec]:
        """The planned runs whose outcome is not final, in order."""
        outcomes = ((spec, self.run_folder(spec).read_outcome()) for spec in self.specs())
        return [spec for spec, outcome in outcomes if outcome is None or not outcome.is_final]

    def records(self) -> list[RunRecord]:
        """The records of all runs that have begun."""
        return list(read_runs(self.folder))

    def load_data(self, location: str | None = None) -> Dataset:
        """The study's data, prepared and checked; `location` says where it has moved."""
        source = location or self.plan.data.source
        dataset = load_data(source, self.plan.data.image_size, self.plan.data.resize)
        if self.plan.data.copies == "near":
            dataset = with_near_copies(dataset)
        self.check_data(dataset)
        return dataset

    def check_data(self, dataset: Dataset) -> None:
        """Raise a PlanError if these are not the pictures that the study was started on."""
        assert self.plan.frozen is not None
        if dataset.manifest.fingerprint != self.plan.frozen.fingerprint:
            raise PlanError(
                f"the images are not those that {self.folder} was started on (their fingerprint "
                "differs); restore them, or start another study"
            )
        if self.plan.frozen.groups not in ("", dataset.manifest.groups_hash):
            raise PlanError(
                f"the copies among the images are not grouped as when {self.folder} was started "
                "(by another version of normlab?), so its splits would differ; start another study"
            )

    def run(
        self,
        dataset: Dataset | None = None,
        *,
        device: torch.device | str = "cpu",
        around: AroundBatches = iter,
    ) -> Iterator[Event]:
        """Do what is missing, yielding every row and every outcome; stops after an interruption."""
        if dataset is None:
            dataset = self.load_data()
        with study_lock(self.folder):
            for spec in self.missing():
                folder = self.run_folder(spec)
                data = block_data(dataset, spec, device)
                for row in execute(spec, data, folder, device=device, around=around):
                    yield spec, row
                outcome = folder.read_outcome()
                assert outcome is not None
                yield spec, outcome
                if outcome.status == "interrupted":
                    return
