"""A study folder: study.toml, runs/ and report/. What is left to do follows from the records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from normlab.data.check.run import quick_report
from normlab.data.dataset import Dataset
from normlab.data.locations import is_named
from normlab.errors import PlanError, StorageError
from normlab.plugins import approve, use_plugins
from normlab.records.data_report import PROBE, DataReport, Probe
from normlab.records.plan import StudyPlan, write_plan
from normlab.records.run import RunSpec
from normlab.records.store import (
    DATA,
    RunRecord,
    read_runs,
    write_model,
)
from normlab.study.answers.of_study import Answers
from normlab.study.check import check_folder, check_margin, check_plan
from normlab.study.design.freeze import freeze, with_methods
from normlab.study.executors.base import Event, Executor
from normlab.study.executors.inline import InlineExecutor
from normlab.study.folder import load_study_data, sweep
from normlab.study.job import JobSettings
from normlab.study.lock import study_lock
from normlab.study.runs import StudyRuns
from normlab.study.scheduler import run_study
from normlab.text import shell_command
from normlab.train.interrupt import OnBatch, ignore_batch
from normlab.train.step_mode import DEFAULT_STEPS, StepMode


class Study(Answers, StudyRuns):
    """A study on disk.

    What it says so far: `verdict`, `best`, `table()`, `network("bn")`.

    >>> study = Study.open("photos-study")               # doctest: +SKIP
    >>> for spec, event in study.run():                  # doctest: +SKIP
    ...     print(spec.arm, spec.block, event)
    """

    def __init__(self, folder: Path, plan: StudyPlan, data: DataReport | None = None) -> None:
        """Bind a frozen plan to its folder; see `create` and `open`.

        Args:
            folder: of the study, which need not be there yet.
            plan: frozen over the data.
            data: what was found in the data, to be kept beside the plan of a new study.
        """
        super().__init__(folder, plan)
        self.data = data
        self.probe: Probe | None = None
        """What a short run before it showed, to be kept beside the plan."""

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
        """What `create` would make, not written yet (`save`); `data` is what was found in them."""
        folder = Path(folder)
        use_plugins(plan.plugins, folder, plan.hash)
        begun = cls.open(folder).plan if (folder / "study.toml").exists() else None
        plan = with_methods(plan, begun)
        check_plan(plan)
        manifest = dataset.manifest
        frozen = freeze(plan, manifest.fingerprint, manifest.classes, manifest.groups_hash)
        if begun is not None:
            study = cls._reopen(folder, frozen)
            known = data is not None or (folder / DATA).exists()  # its first process may have died
            study.data = data if known else quick_report(dataset)
            return study
        check_folder(folder, plan.data.source)
        check_margin(frozen, manifest)
        return cls(folder, frozen, data or quick_report(dataset))

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
                f"{folder} was started with other groups of copies than are found now; continue it "
                f"with: {shell_command('run', folder)}, or choose another folder with --out"
            )
        if study.plan.frozen.hash != wanted.frozen.hash:
            raise PlanError(
                f"{folder} holds a study with another plan; continue that one with: "
                f"{shell_command('run', folder)}, or choose another folder with --out"
            )
        return study.with_blocks(max(wanted.blocks, study.plan.blocks))

    @property
    def path(self) -> Path:
        """The plan's file."""
        return self.folder / "study.toml"

    def set_blocks(self, blocks: int) -> None:
        """Give the study more blocks; a PlanError for fewer than it has."""
        self.plan = self.with_blocks(blocks).plan
        self.save()

    def with_blocks(self, blocks: int) -> Study:
        """The same study with so many blocks (not fewer than it has), not written yet."""
        study = Study(self.folder, self.plan.with_blocks(blocks), self.data)
        study.probe = self.probe
        return study

    def with_trackers(self, targets: Sequence[str]) -> Study:
        """The same study that is sent to these trackers too, not written yet."""
        track = tuple(dict.fromkeys((*self.plan.track, *targets)))
        study = Study(self.folder, self.plan.model_copy(update={"track": track}), self.data)
        study.probe = self.probe
        return study

    def save(self) -> None:
        """Write study.toml, and beside it what was found in the data.

        Raises:
            PlanError: another process is running the study.
            StorageError: the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot write to {self.folder}: {error.strerror}") from error
        with study_lock(self.folder):
            write_plan(self.plan, self.path)  # first: without it the folder is no study
            if self.data is not None and not (self.folder / DATA).exists():
                write_model(self.folder / DATA, self.data)
            if self.probe is not None and not (self.folder / PROBE).exists():
                write_model(self.folder / PROBE, self.probe)
            sweep(self.folder)
        if self.plan.plugins:  # whoever came here has agreed to them
            approve(self.folder, self.plan.hash)

    def records(self) -> list[RunRecord]:
        """The records of all runs that have begun."""
        return list(read_runs(self.folder))

    def load_data(self, location: str | None = None) -> Dataset:
        """The study's data, prepared and checked; `location` says where it has moved."""
        return load_study_data(self.folder, self.plan, location)

    def run(
        self,
        dataset: Dataset | None = None,
        *,
        device: torch.device | str = "cpu",
        on_batch: OnBatch = ignore_batch,
        may_start: Callable[[RunSpec], bool] = lambda spec: True,
        steps: StepMode = DEFAULT_STEPS,
        executor: Executor | None = None,
    ) -> Iterator[Event]:
        """Do what is missing, yielding every row and every outcome.

        Runs are made one after the other in this process, which calls `on_batch` after every batch,
        or by an `executor`. See normlab.study.scheduler.run_study.
        """
        settings = self.job_settings(device=device, steps=steps)
        if executor is None:
            self.use_plugins()
            dataset = dataset or self.load_data()
            executor = InlineExecutor(dataset, on_batch)
        yield from run_study(self, executor, settings, may_start=may_start)

    def job_settings(
        self,
        *,
        source: str | None = None,
        device: torch.device | str = "cpu",
        steps: StepMode = DEFAULT_STEPS,
    ) -> JobSettings:
        """How jobs of this study are made by default: as this process would make them."""
        source = source or self.plan.data.source
        return JobSettings(
            source=source if is_named(source) else str(Path(source).resolve()),
            device=str(device),
            threads=torch.get_num_threads(),
            steps=steps,
            deterministic=torch.are_deterministic_algorithms_enabled(),
            plugins=self.plan.plugins,
        )

    def use_plugins(
        self, *, trusted: bool = False, ask: Callable[[str], bool] | None = None
    ) -> None:
        """Import the plugins that the plan names; see normlab.plugins.use_plugins.

        Raises:
            PluginError: nobody has agreed to that yet; a plugin cannot be imported.
        """
        use_plugins(self.plan.plugins, self.folder, self.plan.hash, trusted=trusted, ask=ask)
