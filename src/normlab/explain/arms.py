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
from normlab.stats.data.reading import read_study
from normlab.stats.summary.analysis import SettingAnalysis, analyse_study
from normlab.stats.summary.recommendation import recommend
from normlab.text import shell_command

MOST_ARMS = 7
"""Arms that are shown side by side where none was named."""


@dataclass(frozen=True, eq=False)
class ArmRun:
    """One finished run that stands for its arm."""

    arm: str
    setting: str
    """The levels of all other factors of the study."""
    accuracy: float
    """Of this run, on the test part."""
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
        raise UsageError(
            f"{study} has no finished run; continue it with: {shell_command('run', study)}"
        )
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
    """The runs to explain, the recommended or else the best arm first.

    Args:
        study: its folder.
        wanted: names of arms; none for the first `MOST_ARMS` that learned something, "all" for
            every one.

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
        ranked = _learned(study, ranked, best[ranked[0]][1])[:MOST_ARMS]
    chosen = {arm: groups[arm, best[arm][1]] for arm in ranked}
    blocks = set.intersection(*({r.spec.block for r in runs} for runs in chosen.values()))
    if not blocks:
        raise UsageError(
            f"the arms {', '.join(ranked)} share no finished block; continue the study with: "
            + shell_command("run", study)
        )
    block = min(blocks)
    return [
        _arm_run(next(r for r in runs if r.spec.block == block), best[arm][1])
        for arm, runs in chosen.items()
    ]


def nothing_learned(study: Path) -> str:
    """Why no map of a study says anything; empty where an arm is better than guessing."""
    analysis = analyse_study(read_study(study))
    settings = [one for one in analysis.settings if one.verdict.arms]
    if not settings or any(set(one.verdict.arms) - one.at_chance for one in settings):
        return ""
    return (
        "every arm is at chance level, so a map would show where a network looks that has learned "
        "nothing; train longer, at other learning rates or on larger images"
    )


def not_shown(study: Path, runs: Sequence[ArmRun]) -> tuple[str, ...]:
    """Which finished arms `choose_arms` left out by itself, and why, a sentence each."""
    shown = [run.arm for run in runs]
    others = [a for a in dict.fromkeys(r.spec.arm for r in finished_runs(study)) if a not in shown]
    if not others:
        return ()
    why = "at chance level"
    if len(shown) >= MOST_ARMS:
        why = f"at chance level, or beyond the first {MOST_ARMS} arms"
    return (
        f"no maps of {', '.join(others)}: {why}; to see them all the same: "
        + shell_command("explain", study, "--arms", "all"),
    )


def _learned(study: Path, ranked: Sequence[str], setting: Setting) -> list[str]:
    """Arms that are better than guessing, the recommended one first; all where none is."""
    found = _setting(study, setting)
    if found is None:
        return list(ranked)
    use = recommend(found, str(study)).use
    kept = [arm for arm in ranked if arm not in found.at_chance] or list(ranked)
    return sorted(kept, key=lambda arm: arm != use)


def _setting(study: Path, setting: Setting) -> SettingAnalysis | None:
    settings = analyse_study(read_study(study)).settings
    return next((one for one in settings if one.setting.label == setting.label), None)


def _arm_run(record: RunRecord, setting: Setting) -> ArmRun:
    predictions = RunFolder(record.folder).read_predictions()
    if predictions is None:
        raise UsageError(
            f"the run {record.folder.name} has no predictions; delete its folder and continue the "
            "study with: normlab run STUDY"
        )
    return ArmRun(record.spec.arm, setting.label, _accuracy(record), record, predictions)


def _accuracy(record: RunRecord) -> float:
    test = record.outcome.test if record.outcome is not None else None
    return float("nan") if test is None else test.accuracy
