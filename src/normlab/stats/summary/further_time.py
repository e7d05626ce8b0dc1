"""How long the blocks would take that a recommendation asks for, by the runs so far."""

from __future__ import annotations

from statistics import median

from normlab.records.cells import Setting, setting_finder
from normlab.stats.data.reading import StudyRecords
from normlab.stats.summary.analysis import Analysis
from normlab.stats.summary.recommendation import Recommendation
from normlab.text import format_seconds


def time_to_go_on(found: Recommendation, analysis: Analysis, seconds_a_block: float) -> str:
    """The time of its command, e.g. "about 8 min"; empty where no run tells."""
    complete = min((one.verdict.blocks for one in analysis.settings), default=0)
    seconds = (found.blocks - complete) * seconds_a_block
    return f"about {format_seconds(seconds)}" if seconds > 0 else ""


def seconds_of_a_block(records: StudyRecords, analysis: Analysis) -> float:
    """What one more block of the arms that stay would take, in seconds.

    Tuning in every block trains about as many epochs as the runs that are compared.
    """
    plan = records.plan
    gone = {(one.setting, arm) for one in analysis.settings for arm in one.verdict.dropped}
    took: dict[tuple[Setting, str], list[float]] = {}
    setting_of = setting_finder(plan)
    for run in records.runs:
        cell = setting_of(run.spec), run.spec.arm
        told = run.outcome is not None and (run.outcome.test or run.outcome.scores)
        if run.outcome is not None and told and cell not in gone:
            took.setdefault(cell, []).append(run.outcome.seconds)
    tuned = plan.tuning is not None and plan.tuning.scope == "block"
    return sum(median(values) for values in took.values()) * (2 if tuned else 1)
