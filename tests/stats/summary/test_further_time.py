"""The time that a recommendation's command would take, by the runs that have ended."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from normlab.stats.data.reading import StudyRecords
from normlab.stats.summary.analysis import analyse
from normlab.stats.summary.further_time import seconds_of_a_block, time_to_go_on
from normlab.stats.summary.recommendation import recommend
from normlab.text import format_seconds


def test_a_block_takes_what_the_runs_of_a_block_took(fabricate) -> None:
    effects = {"bn": 0.0, "gn": 0.005}
    plan = fabricate.make_plan(norms=tuple(effects), blocks=5)
    runs = fabricate.make_runs(plan, effects=effects, sd=0.03)
    analysis = analyse(plan, runs)
    study = StudyRecords(Path("study"), plan, tuple(runs), ())
    by_arm = [[r.outcome.seconds for r in runs if r.spec.arm == arm] for arm in effects]
    expected = sum(map(median, by_arm))
    assert seconds_of_a_block(study, analysis) == expected > 0
    found = recommend(analysis.settings[0], "study")
    assert found.blocks > 5
    said = time_to_go_on(found, analysis, expected)
    assert said == f"about {format_seconds((found.blocks - 5) * expected)}"
