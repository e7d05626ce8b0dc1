"""The runs of a study that are explained: the best arm, or those that were named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from normlab.errors import UsageError
from normlab.records.cells import Setting
from normlab.records.plan import read_plan
from normlab.records.run import known
from normlab.records.store import Predictions, RunFolder, RunRecord, read_runs


@dataclass(frozen=True, eq=False)
class ArmRun:
    """One finished run that stands for its arm."""

    arm: str
    setting: str
    """The levels of all other factors of the study."""
    accuracy: float
    """Mean over the arm's finished blocks, of the test part."""
    record: RunRecord
    predictions: Predictions


def has_network(record: RunRecord) -> bool:
    """Whether the run ended with weights that were kept."""
    return record.outcome is not None and record.outcome.status in ("finished", "stopped_early")


def check_finished(record: RunRecord) -> None:
    """Raise a UsageError if a run has no network to explain."""
    if not has_network(record):
        outcome = record.outcome
        state = "is not finished" if outcome is None else f"ended as {outcome.status}"
        raise UsageError(
            f"the run {record.folder.name} {state}, so it has no network to explain; choose "
            "another run or continue the study with: normlab run STUDY"
        )


def finished_runs(study: Path, wanted: Sequence[str] = ()) -> list[RunRecord]:
    """The runs of a study that have a network, of these arms or of all.

    Raises:
        UnknownNameError: no finished run has that arm.
        UsageError: no run is finished.
    """
    runs = [run for run in read_runs(study, rows=False) if has_network(run)]
    if not runs:
        raise UsageError(f"{study} has no finished run; continue it with: normlab run {study}")
    arms = tuple(dict.fromkeys(run.spec.arm for run in runs))
    names = {known("finished arm", arm, arms) for arm in wanted} or set(arms)
    return [run for run in runs if run.spec.arm in names]


def run_of(study: Path, folder: Path) -> ArmRun:
    """One run of a study, in its folder.

    Raises:
        UsageError: it diverged, is not finished or has no predictions.
    """
    record = RunFolder(folder).read()
    check_finished(record)
    return _arm_run(record, Setting.of(record.spec, read_plan(study / "study.toml")))


def choose_arms(study: Path, wanted: Sequence[str] = ()) -> list[ArmRun]:
    """The runs to explain, the best arm first.

    Args:
        study: its folder.
        wanted: names of arms; none for the best by mean test accuracy, "all" for every one.

    An arm that was trained in several settings stands with its best one. All runs are of the first
    block in which all of them finished, so that they are compared in one split and from the same
    initial weights.

    Raises:
        UnknownNameError: no finished run has that arm.
        UsageError: no run is finished, or the arms share no finished block.
    """
    everything = tuple(wanted) == ("all",)
    plan = read_plan(study / "study.toml")
    groups: dict[tuple[str, Setting], list[RunRecord]] = defaultdict(list)
    for record in finished_runs(study, () if everything else wanted):
        groups[record.spec.arm, Setting.of(record.spec, plan)].append(record)
    best: dict[str, tuple[float, Setting]] = {}
    for (arm, setting), runs in groups.items():
        mean = float(np.mean([_accuracy(run) for run in runs]))
        if arm not in best or mean > best[arm][0]:
            best[arm] = (mean, setting)
    ranked = sorted(best, key=lambda arm: -best[arm][0])
    if not wanted:
        ranked = ranked[:1]
    chosen = {arm: groups[arm, best[arm][1]] for arm in ranked}
    blocks = set.intersection(*({r.spec.block for r in runs} for runs in chosen.values()))
    if not blocks:
        raise UsageError(
            f"the arms {', '.join(ranked)} share no finished block; continue the study with: "
            f"normlab run {study}"
        )
    block = min(blocks)
    return [
        _arm_run(next(r for r in runs if r.spec.block == block), best[arm][1], best[arm][0])
        for arm, runs in chosen.items()
    ]


def _arm_run(record: RunRecord, setting: Setting, accuracy: float | None = None) -> ArmRun:
    predictions = RunFolder(record.folder).read_predictions()
    if predictions is None:
        raise UsageError(
            f"the run {record.folder.name} has no predictions; delete its folder and continue the "
            "study with: normlab run STUDY"
        )
    mean = _accuracy(record) if accuracy is None else accuracy
    return ArmRun(record.spec.arm, setting.label, mean, record, predictions)


def _accuracy(record: RunRecord) -> float:
    test = record.outcome.test if record.outcome is not None else None
    return float("nan") if test is None else test.accuracy
