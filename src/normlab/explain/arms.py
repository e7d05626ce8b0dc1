"""The runs of a study that are explained: the best arm, or those that were named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from normlab.errors import UsageError
from normlab.records.run import known
from normlab.records.store import Predictions, RunFolder, RunRecord, run_folders

ENDED = ("finished", "stopped_early")


@dataclass(frozen=True, eq=False)
class ArmRun:
    """One finished run that stands for its arm."""

    arm: str
    setting: str
    """Optimizer, learning rate and batch size."""
    accuracy: float
    """Mean over the arm's finished blocks, of the test part."""
    record: RunRecord
    predictions: Predictions


def check_finished(record: RunRecord) -> None:
    """Raise a UsageError if a run has no network to explain."""
    outcome = record.outcome
    if outcome is None or outcome.status not in ENDED:
        state = "is not finished" if outcome is None else f"ended as {outcome.status}"
        raise UsageError(
            f"the run {record.folder.name} {state}, so it has no network to explain; choose "
            "another run or continue the study with: normlab run STUDY"
        )


def run_of(folder: Path) -> ArmRun:
    """The run in a folder.

    Raises:
        UsageError: it diverged, is not finished or has no predictions.
    """
    record = RunFolder(folder).read()
    check_finished(record)
    return _arm_run(record, _accuracy(record))


def choose_arms(study: Path, wanted: Sequence[str] = ()) -> list[ArmRun]:
    """The runs to explain, the best arm first.

    Args:
        study: its folder.
        wanted: names of arms; none for the best by mean test accuracy, "all" for every one.

    An arm that was trained in several settings (optimizer, learning rate, batch size) stands with
    its best one. All runs are of the first block in which all of them finished, so that they are
    compared in one split and from the same initial weights.

    Raises:
        UnknownNameError: no finished run has that arm.
        UsageError: no run is finished, or the arms share no finished block.
    """
    records = [folder.read() for folder in run_folders(study)]
    finished = [r for r in records if r.outcome is not None and r.outcome.status in ENDED]
    if not finished:
        raise UsageError(f"{study} has no finished run; continue it with: normlab run {study}")
    groups: dict[tuple[str, str], list[RunRecord]] = defaultdict(list)
    for record in finished:
        groups[record.spec.arm, _setting(record)].append(record)
    best: dict[str, tuple[float, list[RunRecord]]] = {}
    for (arm, _), runs in groups.items():
        mean = float(np.mean([_accuracy(run) for run in runs]))
        if arm not in best or mean > best[arm][0]:
            best[arm] = (mean, runs)
    ranked = sorted(best, key=lambda arm: -best[arm][0])
    if not wanted:
        ranked = ranked[:1]
    elif tuple(wanted) != ("all",):
        names = {known("finished arm", name, tuple(ranked)) for name in wanted}
        ranked = [arm for arm in ranked if arm in names]
    blocks = set.intersection(*({r.spec.block for r in best[arm][1]} for arm in ranked))
    if not blocks:
        raise UsageError(
            f"the arms {', '.join(ranked)} share no finished block; continue the study with: "
            f"normlab run {study}"
        )
    block = min(blocks)
    return [
        _arm_run(next(r for r in best[arm][1] if r.spec.block == block), best[arm][0])
        for arm in ranked
    ]


def _arm_run(record: RunRecord, accuracy: float) -> ArmRun:
    predictions = RunFolder(record.folder).read_predictions()
    if predictions is None:
        raise UsageError(
            f"the run {record.folder.name} has no predictions; delete its folder and continue the "
            "study with: normlab run STUDY"
        )
    return ArmRun(record.spec.arm, _setting(record), accuracy, record, predictions)


def _accuracy(record: RunRecord) -> float:
    test = record.outcome.test if record.outcome is not None else None
    return float("nan") if test is None else test.accuracy


def _setting(record: RunRecord) -> str:
    spec = record.spec
    return (
        f"{spec.optimizer.name}, learning rate {spec.optimizer.learning_rate:g}, "
        f"batch {spec.batch_size}"
    )
