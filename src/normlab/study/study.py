"""A study folder: study.toml, runs/ and report/. What is left to do follows from the records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from pathlib import Path

import torch

from normlab.data.check.run import quick_report
from normlab.data.dataset import Dataset, load_data
from normlab.data.duplicates.near_duplicates import with_near_duplicates
from normlab.data.load import block_data
from normlab.errors import PlanError
from normlab.records.cells import Setting
from normlab.records.data_report import DataReport
from normlab.records.plan import StudyPlan, read_plan, write_plan
from normlab.records.run import EpochRow, Outcome, RunSpec
from normlab.records.store import (
    DATA,
    TUNING_RESULTS,
    RunFolder,
    RunRecord,
    read_optional,
    read_runs,
    write_model,
)
from normlab.records.tuning_results import TuningResults
from normlab.stats.inference.sequential import sequential_layouts
from normlab.study.beside import run_beside
from normlab.study.check import check_folder, check_plan
from normlab.study.design import freeze, plan_runs
from normlab.study.lock import study_lock
from normlab.study.tuning import Tuning, is_tuning, tune, tuning_runs
from normlab.study.workers import Workers
from normlab.train.execute import execute
from normlab.train.fit import AroundBatches
from normlab.train.step import DEFAULT_STEPS, Steps

Event = tuple[RunSpec, EpochRow | Outcome]


class Study:
    """A study on disk.

    >>> study = Study.open("photos-study")               # doctest: +SKIP
    >>> for spec, event in study.run():                  # doctest: +SKIP
    ...     print(spec.arm, spec.block, event)
    """

    def __init__(self, folder: Path, plan: StudyPlan, data: DataReport | None = None) -> None:
        """Bind a frozen plan to its folder; see `create` and `open`."""
        self.folder = folder
        self.plan = plan
        self.data = data
        """What was found in the data, to be kept beside the plan of a new study."""

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
    def planned(
        cls,
        folder: str | Path,
        plan: StudyPlan,
        dataset: Dataset,
        data: DataReport | None = None,
    ) -> Study:
        """What `create` would make, with nothing written yet: `save` writes it.

        `data` is what was found in the data set, if somebody has looked already.
        """
        folder = Path(folder)
        check_plan(plan)
        manifest = dataset.manifest
        frozen = freeze(plan, manifest.fingerprint, manifest.classes, manifest.groups_hash)
        if (folder / "study.toml").exists():
            study = cls._reopen(folder, frozen)
            study.data = data
            return study
        check_folder(folder, plan.data.source)
        return cls(folder, frozen, data or quick_report(dataset))

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
        return Study(self.folder, self.plan.model_copy(update={"blocks": blocks}), self.data)

    def save(self) -> None:
        """Write study.toml, and beside it what was found in the data."""
        write_plan(self.plan, self.path)  # first: without it the folder is no study
        if self.data is not None and not (self.folder / DATA).exists():
            write_model(self.folder / DATA, self.data)

    def tuning_results(self) -> TuningResults | None:
        """The account of the tuning, once it has ended."""
        return read_optional(self.folder / TUNING_RESULTS, TuningResults)

    def specs(self) -> list[RunSpec]:
        """All planned runs, block by block; before the tuning has ended their tuned parameters are
        stand-ins.
        """
        return plan_runs(self.plan, self.tuning_results())

    def run_folder(self, spec: RunSpec) -> RunFolder:
        """Where a run lives: runs/, or tuning/ if it serves tuning alone."""
        kind = "tuning" if is_tuning(spec) else "runs"
        return RunFolder(self.folder / kind / spec.folder_name)

    def missing(self) -> list[RunSpec]:
        """All runs that are still to be made, as far as is known now, in order.

        Of a tuning that has not ended: its next runs (or all of them, before the first), and then
        those of the comparison.
        """
        if self.plan.tuning is not None and self.tuning_results() is None:
            known = {spec.id: spec for spec in (*tuning_runs(self.plan), *self._tuning().missing)}
            todo = [spec for spec in known.values() if not self._is_done(spec)]
            return [*todo, *self.specs()]
        skipped = self._spared()
        return [
            spec
            for spec in self.specs()
            if not self._is_done(spec) and self._key(spec) not in skipped
        ]

    def next_runs(self, tried: Set[str]) -> list[RunSpec]:
        """What can be run now: a rung of the tuning, or the blocks up to the next look.

        Without what was tried in this session: a run that fails does not hold up later blocks.
        """
        if self.plan.tuning is not None and self.tuning_results() is None:
            tuning = self._tuning()
            if tuning.tuning_results is None:
                return [spec for spec in tuning.missing if spec.id not in tried]
            write_model(self.folder / TUNING_RESULTS, tuning.tuning_results)
        missing = [spec for spec in self.missing() if spec.id not in tried]
        for look in self.plan.analysis.looks:
            before = [spec for spec in missing if spec.block < look]
            if before:
                return before
        return missing

    def _tuning(self) -> Tuning:
        return tune(self.plan, self._ended)

    def _ended(self, spec: RunSpec) -> Outcome | None:
        """The outcome of a run that will not be tried again."""
        outcome = self.run_folder(spec).read_outcome()
        return None if outcome is None or outcome.status == "interrupted" else outcome

    def _is_done(self, spec: RunSpec) -> bool:
        outcome = self.run_folder(spec).read_outcome()
        return outcome is not None and outcome.is_final

    def _spared(self) -> set[tuple[Setting, str, int]]:
        """What earlier looks have made unnecessary."""
        if len(self.plan.analysis.looks) < 2:
            return set()
        layouts = sequential_layouts(self.plan, read_runs(self.folder, rows=False))
        return {
            (layout.setting, arm, block) for layout, _ in layouts for arm, block in layout.skipped
        }

    def _key(self, spec: RunSpec) -> tuple[Setting, str, int]:
        return Setting.of(spec, self.plan), spec.arm, spec.block

    def records(self) -> list[RunRecord]:
        """The records of all runs that have begun."""
        return list(read_runs(self.folder))

    def load_data(self, location: str | None = None) -> Dataset:
        """The study's data, prepared and checked; `location` says where it has moved."""
        source = location or self.plan.data.source
        dataset = load_data(source, self.plan.data.image_size, self.plan.data.resize)
        if self.plan.data.copies == "near":
            dataset = with_near_duplicates(dataset)
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
        may_start: Callable[[RunSpec], bool] = lambda _: True,
        steps: Steps = DEFAULT_STEPS,
        workers: Workers | None = None,
    ) -> Iterator[Event]:
        """Do what is missing, yielding every row and every outcome.

        First the tuning, if there is one; then block by block, and at every look the arms that have
        lost are left out. Stops after an interruption, or before a run that `may_start` refuses.
        With `workers` several runs are made at once, each in a process of its own; else in this
        one.
        """
        if dataset is None:
            dataset = self.load_data()
        with study_lock(self.folder):
            if workers is not None:
                yield from run_beside(self, workers, around, may_start)
                return
            tried: set[str] = set()
            while batch := self.next_runs(tried):
                for spec in batch:
                    if not may_start(spec):
                        return
                    tried.add(spec.id)
                    yield from self._run_one(spec, dataset, device, around, steps)
                    outcome = self.run_folder(spec).read_outcome()
                    if outcome is not None and outcome.status == "interrupted":
                        return

    def _run_one(
        self,
        spec: RunSpec,
        dataset: Dataset,
        device: torch.device | str,
        around: AroundBatches,
        steps: Steps,
    ) -> Iterator[Event]:
        folder = self.run_folder(spec)
        data = block_data(dataset, spec, device)
        evaluate_test = not is_tuning(spec)
        for row in execute(
            spec,
            data,
            folder,
            device=device,
            around=around,
            evaluate_test=evaluate_test,
            steps=steps,
        ):
            yield spec, row
        outcome = folder.read_outcome()
        assert outcome is not None
        yield spec, outcome
