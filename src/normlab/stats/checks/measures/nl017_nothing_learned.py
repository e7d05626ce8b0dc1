"""NL017: arms at chance level, or still rising steeply when the training ended."""

from __future__ import annotations

from collections import defaultdict

from normlab.records.lean.rows import column
from normlab.records.store import RunRecord
from normlab.stats.checks.base import (
    Result,
    StudyToCheck,
    check,
    finding,
    listed,
    not_applicable,
    passed,
)
from normlab.stats.data.chance import at_chance, chance_share, mean_accuracy
from normlab.stats.data.setting import setting_finder

STEEP = 0.05
"""Validation accuracy gained in the last quarter of the epochs."""


@check("NL017", "Something was learned, and the training was long enough", severity="warning")
def nothing_learned(study: StudyToCheck) -> Result:
    """Test accuracy of every arm against guessing, and what the last quarter of the epochs gave.

    Arms that only guess are equal whatever their normalization is, and arms that were cut off while
    they rose are compared in speed rather than in quality.
    """
    arms: dict[tuple[str, str], list[RunRecord]] = defaultdict(list)
    setting_of = setting_finder(study.plan)
    for run in study.runs:
        if run.outcome is not None and run.outcome.test is not None:
            arms[setting_of(run.spec).label, run.spec.arm].append(run)
    if not arms:
        return not_applicable("no run has finished yet")
    faults = []
    chance = chance_share(study.runs)
    for (setting, arm), runs in arms.items():
        where = f"{arm} ({setting})"
        if at_chance(runs, chance):
            mean, guess = 100 * mean_accuracy(runs), 100 * chance
            faults.append(f"{where} is not clearly above chance, {mean:.1f} % of {guess:.1f} %")
        elif (gained := last_quarter(runs)) > STEEP:
            faults.append(f"{where} still rose {100 * gained:.1f} points in the last quarter")
    if faults:
        return finding(f"{listed(faults)}. Train longer, or at other learning rates")
    return passed(f"all {len(arms)} arms are above chance level and nearly flat at the end")


def last_quarter(runs: list[RunRecord]) -> float:
    """Mean gain in validation accuracy from 75 % of the epochs to the end; 0 below 8 epochs."""
    gains = [
        float(accuracies[-1] - accuracies[(3 * len(accuracies)) // 4 - 1])
        for run in runs
        if len(accuracies := column(run.rows, "validation.accuracy")) >= 8
    ]
    return sum(gains) / len(gains) if gains else 0.0
