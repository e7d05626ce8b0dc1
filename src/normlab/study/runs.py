"""The runs of a study on disk: which are planned, how they ended, which are left to do.

It follows from the plan and the records alone. Nothing here needs torch, nor, while no run is
missing, the tests of the looks: a study's status is asked often.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Set
from pathlib import Path
from typing import TYPE_CHECKING, Self

from normlab.errors import PlanError, StorageError
from normlab.records.cells import Setting, setting_finder
from normlab.records.files import SealedOutcome, no_collection, read_outcome
from normlab.records.plan import StudyPlan, read_plan
from normlab.records.run import Outcome, RunSpec
from normlab.records.store import (
    TUNING_RESULTS,
    RunFolder,
    RunRecord,
    names_in,
    read_optional,
    write_model,
)
from normlab.records.tuning_results import TuningResults
from normlab.study.design.runs import plan_runs
from normlab.study.folder import run_folder, run_path
from normlab.text import shell_command

if TYPE_CHECKING:
    from normlab.study.tuning.in_blocks import BlockTuning


class StudyRuns:
    """What is planned and what is left; normlab.study.study.Study is one that makes them."""

    def __init__(self, folder: Path, plan: StudyPlan) -> None:
        """Bind a frozen plan to its folder; nothing is read yet."""
        self.folder = folder
        self.plan = plan
        self._setting_of = setting_finder(plan)  # of [training] and factors, which are fixed
        self._planned: tuple[StudyPlan, TuningResults | None, list[RunSpec]] | None = None
        self._done: set[str] = set()
        """Ids of runs whose outcome cannot change any more."""
        self._tuned: dict[str, Outcome] = {}
        """Such outcomes of runs that serve tuning, by id."""
        self._final_records: dict[str, RunRecord] = {}
        """Records of runs that are final, by folder."""

    @classmethod
    def open(cls, folder: str | Path) -> Self:
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

    def begun(self) -> set[str]:
        """The names of all folders of runs; one listing tells what 100,000 questions would."""
        found: set[str] = set()
        for kind in (self.folder / "runs", self.folder / "tuning"):
            try:
                found.update(os.listdir(kind))  # noqa: PTH208
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StorageError(
                    f"{kind} cannot be read: {error.strerror or error}; check the disk and the "
                    "folder's permissions"
                ) from error
        return found

    def missing(self) -> list[RunSpec]:
        """All runs that are still to be made, as far as is known now, block by block.

        Of a tuning that has not ended these are its next runs (or all of them, before the first);
        the tuned parameters of the runs that follow are stand-ins.
        """
        done = self.tuning_results()
        todo: list[RunSpec] = []
        if self._tunes_once and done is None:
            from normlab.study.tuning import once

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
                from normlab.study.tuning import in_blocks

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
            from normlab.study.tuning import once

            tuning = once.tune(self.plan, self._ended)
            if tuning.tuning_results is None:
                return [spec for spec in tuning.missing if spec.id not in tried]
            write_model(self.folder / TUNING_RESULTS, tuning.tuning_results)
        if self._tunes_blocks:
            return self._next_of_tuned_blocks(tried)
        from normlab.stats.inference.sequential import planned_looks

        missing = [spec for spec in self.missing() if spec.id not in tried]
        for look in planned_looks(self.plan):
            before = [spec for spec in missing if spec.block < look]
            if before:
                return before
        return missing

    def _next_of_tuned_blocks(self, tried: Set[str]) -> list[RunSpec]:
        """A block is tuned, then run, before the next one is looked at."""
        from normlab.study.tuning import in_blocks

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
        from normlab.study.tuning import in_blocks

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

    def read_outcome(self, spec: RunSpec, *, keep: bool = False) -> Outcome | None:
        """How a run has ended, and a note of it; None while it has not.

        With `keep` it is not read again for the looks, which are taken where runs are missing.

        Raises:
            StorageError: the outcome is damaged, was changed, or is that of another run.
        """
        outcome = read_outcome(f"{run_path(self.folder, spec)}/outcome.json", spec.id)
        if outcome is not None:
            self.note(spec, outcome)
            if keep and outcome.is_final and outcome.epochs <= spec.epochs and not spec.is_tuning:
                plain = outcome.plain if isinstance(outcome, SealedOutcome) else outcome
                folder = self.run_folder(spec).path
                self._final_records[folder.name] = RunRecord(folder, spec, {}, (), plain)
        return outcome

    def note(self, spec: RunSpec, outcome: Outcome) -> None:
        """Remember how a run has ended, so that its record need not be read again."""
        if outcome.is_final:
            self._done.add(spec.id)
            if spec.is_tuning:
                self._tuned[spec.id] = outcome

    def _ended(self, spec: RunSpec) -> Outcome | None:
        """The outcome of a run of a tuning that will not be tried again."""
        outcome = self._tuned.get(spec.id) or self.read_outcome(spec)
        return outcome if outcome and outcome.status != "interrupted" else None

    def _is_done(self, spec: RunSpec) -> bool:
        if spec.id not in self._done:
            self.read_outcome(spec)
        return spec.id in self._done

    def _skipped(self) -> set[tuple[Setting, str, int]]:
        """The runs that earlier looks have made unnecessary: setting, arm and block."""
        from normlab.stats.inference.sequential import planned_looks, sequential_layouts

        if len(planned_looks(self.plan)) < 2:
            return set()
        layouts = sequential_layouts(self.plan, self._records_so_far())
        return {
            (layout.setting, arm, block) for layout, _ in layouts for arm, block in layout.skipped
        }

    def _records_so_far(self) -> list[RunRecord]:
        """The records without rows and environments; those of runs that are final are read once."""
        planned = {spec.folder_name: spec for spec in self.specs()}
        found = []
        with no_collection():
            for name in names_in(self.folder / "runs"):
                record = self._final_records.get(name) or self._record(name, planned.get(name))
                if record is not None:
                    found.append(record)
        self._final_records = {r.folder.name: r for r in found if r.outcome and r.outcome.is_final}
        return found

    def _record(self, name: str, planned: RunSpec | None) -> RunRecord | None:
        """What a folder holds; one that is named after a planned run holds that run, if any: its
        name ends with the hash of its spec.
        """
        if planned is not None:
            self.read_outcome(planned, keep=True)
            if name in self._final_records:
                return self._final_records[name]
        folder = RunFolder(self.folder / "runs" / name)
        return folder.read(rows=False) if (folder.path / "spec.json").exists() else None

    def _key(self, spec: RunSpec) -> tuple[Setting, str, int]:
        return self._setting_of(spec), spec.arm, spec.block
