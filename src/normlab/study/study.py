"""A study folder: study.toml, runs/ and report/. What is left to do follows from the records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from pathlib import Path

import torch

from normlab.data.check.run import quick_report
from normlab.data.dataset import Dataset
from normlab.data.locations import is_named
from normlab.errors import PlanError, StorageError
from normlab.plugins import approve, use_plugins
from normlab.records.cells import Setting
from normlab.records.data_report import PROBE, DataReport, Probe
from normlab.records.plan import StudyPlan, read_plan, write_plan
from normlab.records.run import Outcome, RunSpec
from normlab.records.store import (
    DATA,
    TUNING_RESULTS,
    RunFolder,
    RunRecord,
    read_optional,
    read_runs,
    run_folders,
    write_model,
)
from normlab.records.tuning_results import TuningResults
from normlab.stats.inference.sequential import planned_looks, sequential_layouts
from normlab.study.answers.of_study import Answers
from normlab.study.check import check_folder, check_margin, check_plan
from normlab.study.design import freeze, plan_runs, with_methods
from normlab.study.executors.base import Event, Executor
from normlab.study.executors.inline import InlineExecutor
from normlab.study.folder import load_study_data, run_folder, sweep
from normlab.study.job import JobSettings
from normlab.study.lock import study_lock
from normlab.study.scheduler import run_study
from normlab.study.tuning import in_blocks, once
from normlab.study.tuning.in_blocks import BlockTuning
from normlab.text import shell_command
from normlab.train.interrupt import OnBatch, ignore_batch
from normlab.train.step_mode import DEFAULT_STEPS, StepMode


class Study(Answers):
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
        self.folder = folder
        self.plan = plan
        self.data = data
        self.probe: Probe | None = None
        """What a short run before it showed, to be kept beside the plan."""
        self._planned: tuple[StudyPlan, TuningResults | None, list[RunSpec]] | None = None
        self._final: dict[str, Outcome] = {}
        """Outcomes that cannot change any more, by the id of the run; and records, by folder."""
        self._final_records: dict[str, RunRecord] = {}

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
                + shell_command("run", folder / "study.toml")
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

    def tuning_results(self) -> TuningResults | None:
        """The account of the tuning, once it has ended."""
        return read_optional(self.folder / TUNING_RESULTS, TuningResults)

    def specs(self) -> list[RunSpec]:
        """All planned runs by block; tuned parameters are stand-ins before the tuning has ended."""
        results = self.tuning_results()
        if (
            self._planned is None
            or self._planned[0] is not self.plan
            or self._planned[1] != results
        ):
            self._planned = self.plan, results, plan_runs(self.plan, results)
        return list(self._planned[2])

    def run_folder(self, spec: RunSpec) -> RunFolder:
        """Where a run lives: runs/, or tuning/ if it serves tuning alone."""
        return run_folder(self.folder, spec)

    def missing(self) -> list[RunSpec]:
        """All runs that are still to be made, as far as is known now, block by block.

        Of a tuning that has not ended these are its next runs (or all of them, before the first);
        the tuned parameters of the runs that follow are stand-ins.
        """
        done = self.tuning_results()
        todo: list[RunSpec] = []
        if self._tunes_once and done is None:
            todo += self._open(
                once.tuning_runs(self.plan), once.tune(self.plan, self._ended).missing
            )
            return [*todo, *self.specs()]
        not_done = [spec for spec in self.specs() if not self._is_done(spec)]
        skipped = self._skipped() if not_done or self._tunes_blocks else set()  # looks are slow
        by_block: dict[int, list[RunSpec]] = defaultdict(list)
        for spec in not_done:
            if self._key(spec) not in skipped:
                by_block[spec.block].append(spec)
        for block in range(self.plan.blocks):
            if self._tunes_blocks and (done is None or not done.has(block)):
                planned = in_blocks.block_tuning_runs(self.plan, block)
                wanted = [spec for spec in planned if self._key(spec) not in skipped]
                todo += self._open(wanted, self._tune_block(block, skipped).missing)
            todo += by_block[block]
        return todo

    def next_runs(self, tried: Set[str]) -> list[RunSpec]:
        """What can be run now: a rung of a tuning, or the runs of one block.

        Without what was tried in this session: a run that fails does not hold up later blocks.
        """
        if self._tunes_once and self.tuning_results() is None:
            tuning = once.tune(self.plan, self._ended)
            if tuning.tuning_results is None:
                return [spec for spec in tuning.missing if spec.id not in tried]
            write_model(self.folder / TUNING_RESULTS, tuning.tuning_results)
        if self._tunes_blocks:
            return self._next_of_tuned_blocks(tried)
        missing = [spec for spec in self.missing() if spec.id not in tried]
        for look in planned_looks(self.plan):
            before = [spec for spec in missing if spec.block < look]
            if before:
                return before
        return missing

    def _next_of_tuned_blocks(self, tried: Set[str]) -> list[RunSpec]:
        """A block is tuned, then run, before the next one is looked at."""
        skipped = self._skipped()
        for block in range(self.plan.blocks):
            results = self.tuning_results()
            if results is None or not results.has(block):
                tuning = self._tune_block(block, skipped)
                if tuning.missing:
                    return [spec for spec in tuning.missing if spec.id not in tried]
                if tuning.arms:
                    account = in_blocks.with_block(self.plan, results, tuning)
                    write_model(self.folder / TUNING_RESULTS, account)
            runs = [
                spec
                for spec in self.specs()
                if spec.block == block
                and spec.id not in tried
                and self._key(spec) not in skipped
                and not self._is_done(spec)
            ]
            if runs:
                return runs
        return []

    def _tune_block(self, block: int, skipped: Set[tuple[Setting, str, int]]) -> BlockTuning:
        arms = {(setting, arm) for setting, arm, number in skipped if number == block}
        return in_blocks.tune_block(self.plan, block, self._ended, arms)

    def _open(self, planned: Iterable[RunSpec], missing: Iterable[RunSpec]) -> list[RunSpec]:
        """The runs of a tuning that are not done yet, each once."""
        known = {spec.id: spec for spec in (*planned, *missing)}
        return [spec for spec in known.values() if not self._is_done(spec)]

    @property
    def _tunes_once(self) -> bool:
        return self.plan.tuning is not None and self.plan.tuning.scope == "study"

    @property
    def _tunes_blocks(self) -> bool:
        return self.plan.tuning is not None and self.plan.tuning.scope == "block"

    def note(self, spec: RunSpec, outcome: Outcome) -> None:
        """Remember how a run has ended, so that its record need not be read again."""
        if outcome.is_final:
            self._final[spec.id] = outcome

    def _ended(self, spec: RunSpec) -> Outcome | None:
        """The outcome of a run that will not be tried again."""
        outcome = self._outcome(spec)
        return outcome if outcome and outcome.status != "interrupted" else None

    def _is_done(self, spec: RunSpec) -> bool:
        return bool((outcome := self._outcome(spec)) and outcome.is_final)

    def _outcome(self, spec: RunSpec) -> Outcome | None:
        outcome = self._final.get(spec.id) or self.run_folder(spec).read_outcome()
        if outcome is not None:
            self.note(spec, outcome)
        return outcome

    def _skipped(self) -> set[tuple[Setting, str, int]]:
        """The runs that earlier looks have made unnecessary: setting, arm and block."""
        if len(planned_looks(self.plan)) < 2:
            return set()
        layouts = sequential_layouts(self.plan, self._records_so_far())
        return {
            (layout.setting, arm, block) for layout, _ in layouts for arm, block in layout.skipped
        }

    def _records_so_far(self) -> list[RunRecord]:
        """The records without their rows; those of runs that are final are read once."""
        known = self._final_records
        folders = run_folders(self.folder)
        found = [known.get(each.path.name) or each.read(rows=False) for each in folders]
        self._final_records = {r.folder.name: r for r in found if r.outcome and r.outcome.is_final}
        return found

    def _key(self, spec: RunSpec) -> tuple[Setting, str, int]:
        return Setting.of(spec, self.plan), spec.arm, spec.block

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
