from __future__ import annotations

from dataclasses import replace

import pytest

from normlab.records.checks import registered_checks
from normlab.stats.summary.analysis import analyse

SPEEDS = {"bn": {0: 1000.0, 1: 100.0}, "gn": {0: 800.0, 1: 80.0}}


def at_speed(run, images_per_second):
    """The run, with that speed in every epoch."""
    change = {"images_per_second": images_per_second}
    return replace(run, rows=tuple(row.model_copy(update=change) for row in run.rows))


def test_rows_hold_what_the_terminal_table_prints(fabricate):
    plan = fabricate.make_plan(norms=("gn", "bn", "none"), blocks=4)
    runs = fabricate.make_runs(plan, statuses={("none", 2): "diverged"}, without={("gn", 0)})
    analysis = analyse(plan, runs)
    (setting,) = analysis.settings
    gn, bn, none = setting.rows
    assert [row.arm for row in setting.rows] == ["gn", "bn", "none"]
    assert bn.comparison is None
    assert gn.comparison.other == "bn"
    assert (gn.n, bn.n, none.n) == (3, 4, 4)
    assert gn.outcomes == {"missing": 1, "finished": 3}
    assert none.outcomes == {"finished": 3, "diverged": 1}
    assert (analysis.planned, analysis.done) == (12, 11)
    mean = sum(run.outcome.test.loss for run in runs if run.spec.arm == "bn") / 4
    assert bn.test["loss"].mean == pytest.approx(mean, abs=1e-12)
    assert bn.train["loss"].mean != bn.test["loss"].mean


def test_relative_time_is_that_of_a_step(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=1)
    bn, gn = fabricate.make_runs(plan)
    slow = [row.model_copy(update={"images_per_second": 800.0}) for row in gn.rows]
    slow[0] = slow[0].model_copy(update={"images_per_second": 1.0})  # warming up: left out
    gn = replace(gn, rows=tuple(slow))
    rows = analyse(plan, [bn, gn]).settings[0].rows
    assert rows[0].relative_time == 1.0
    assert rows[1].relative_time == 1.25


def test_times_are_compared_within_blocks(fabricate):
    """A machine that is ten times slower for one block changes no relative time."""
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=2)
    runs = [
        at_speed(run, SPEEDS[run.spec.arm][run.spec.block]) for run in fabricate.make_runs(plan)
    ]
    bn, gn = analyse(plan, runs).settings[0].rows
    assert (bn.speeds, gn.speeds) == (SPEEDS["bn"], SPEEDS["gn"])
    assert gn.relative_time == 1.25


@pytest.mark.parametrize(
    "case", ["no runs", "one arm", "one block", "all diverged", "unfinished", "no reference"]
)
def test_there_is_always_an_analysis(fabricate, case):
    norms = ("bn",) if case == "one arm" else ("bn", "gn")
    blocks = 1 if case == "one block" else 3
    reference = {"reference": "bin"} if case == "no reference" else None
    plan = fabricate.make_plan(norms=norms, blocks=blocks, analysis=reference)
    status = {"all diverged": "diverged", "unfinished": "unfinished"}.get(case, "finished")
    cells = {(arm, block): status for arm in norms for block in range(blocks)}
    runs = [] if case == "no runs" else fabricate.make_runs(plan, statuses=cells)
    analysis = analyse(plan, runs)
    assert analysis.settings[0].verdict.sentence.endswith(".")
    assert len(analysis.checks) == len(registered_checks("NL"))


def test_it_depends_on_the_runs_and_not_on_their_order(fabricate):
    plan = fabricate.make_plan()
    runs = fabricate.make_runs(plan)
    forwards, backwards = analyse(plan, runs), analyse(plan, runs[::-1])
    assert forwards.settings[0].rows == backwards.settings[0].rows
    assert forwards.settings[0].verdict == backwards.settings[0].verdict
