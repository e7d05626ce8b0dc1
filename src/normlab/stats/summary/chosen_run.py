"""The network to use: of the recommended arm the run that is best on the validation part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from normlab.errors import UsageError
from normlab.records.network import is_own
from normlab.records.run import known
from normlab.records.store import RunRecord
from normlab.stats.data.reading import StudyRecords
from normlab.stats.data.setting import Setting, setting_finder
from normlab.stats.summary.analysis import Analysis
from normlab.stats.summary.recommendation import Recommendation, recommend
from normlab.text import shell_command


def recommendations(analysis: Analysis, folder: Path) -> tuple[Recommendation, ...]:
    """What to do about every setting; `folder` is what the command that goes on names."""
    return tuple(recommend(setting, str(folder)) for setting in analysis.settings)


def chosen_run(
    records: StudyRecords, analysis: Analysis, arm: str = "", block: int | None = None
) -> tuple[RunRecord, str]:
    """The run whose network is used, and why it is that one.

    Args:
        records: of the study.
        analysis: what was concluded from them.
        arm: empty for the one that is recommended; where none is, the best on the validation part.
        block: counted from 1; None for the one that is best on the validation part.

    Returns:
        The record, and the reason in words.

    Raises:
        UnknownNameError: no finished run has that arm.
        UsageError: no run is finished, or not in this block.
    """
    runs = [run for run in records.runs if _has_network(run)]
    if is_own(records.plan.analysis.metric):
        raise UsageError(
            f"the networks of {records.folder} are with the program that trained them; normlab has "
            "their figures alone"
        )
    if not runs:
        raise UsageError(
            f"{records.folder} has no finished run; continue it with: "
            + shell_command("run", records.folder)
        )
    if arm:
        known("finished arm", arm, tuple(dict.fromkeys(run.spec.arm for run in runs)))
        runs, why = [run for run in runs if run.spec.arm == arm], "as you asked"
    else:
        runs, why = _recommended(records, analysis, runs)
    if block is not None:
        blocks = sorted({run.spec.block + 1 for run in runs})
        runs = [run for run in runs if run.spec.block + 1 == block]
        if not runs:
            named = ", ".join(map(str, blocks))
            raise UsageError(f"block {block} has no finished run of it; there are {named}")
    return max(runs, key=_validation), why


def _recommended(
    records: StudyRecords, analysis: Analysis, runs: Sequence[RunRecord]
) -> tuple[list[RunRecord], str]:
    groups: dict[tuple[Setting, str], list[RunRecord]] = {}
    setting_of = setting_finder(records.plan)
    for run in runs:
        key = setting_of(run.spec), run.spec.arm
        groups.setdefault(key, []).append(run)
    used = recommendations(analysis, records.folder)
    wanted = {
        (setting.setting, one.use): one.why
        for setting, one in zip(analysis.settings, used, strict=True)
        if (setting.setting, one.use) in groups
    }
    key = max(wanted or groups, key=lambda key: fmean(map(_validation, groups[key])))
    reason = wanted.get(key, "no arm can be recommended yet; the best on the validation part")
    where = f" at {key[0].label}" if len(analysis.settings) > 1 else ""
    return groups[key], f"{reason}{where}"


def _validation(run: RunRecord) -> float:
    found = run.outcome.validation if run.outcome is not None else None
    return 0.0 if found is None else found.accuracy


def _has_network(run: RunRecord) -> bool:
    return run.outcome is not None and run.outcome.status in ("finished", "stopped_early")
