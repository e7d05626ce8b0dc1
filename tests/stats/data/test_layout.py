from __future__ import annotations

import pytest

from normlab.stats.data.layout import CELL_STATUSES, arrange


@pytest.mark.parametrize(
    "status",
    [
        "finished",
        "stopped_early",
        "diverged",
        "out_of_memory",
        "failed",
        "interrupted",
        "unfinished",
    ],
)
def test_a_cell_has_the_status_of_its_run(fabricate, status):
    plan = fabricate.make_plan(norms=("bn",), blocks=1)
    runs = fabricate.make_runs(plan, statuses={("bn", 0): status})
    (layout,) = arrange(plan, runs)
    assert layout.status("bn", 0) == status
    assert status in CELL_STATUSES


def test_a_planned_cell_without_a_record_is_missing(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=2)
    (layout,) = arrange(plan, fabricate.make_runs(plan, without={("gn", 1)}))
    assert layout.status("gn", 1) == "missing"
    assert layout.record("gn", 1) is None


def test_two_rival_results_are_ambiguous_and_neither_counts(fabricate):
    plan = fabricate.make_plan(norms=("bn",), blocks=1)
    rivals = [
        fabricate.make_run(fabricate.make_spec(plan, "bn", 0, epochs=epochs), 0.8)
        for epochs in (5, 6)
    ]
    (layout,) = arrange(plan, rivals)
    assert layout.status("bn", 0) == "ambiguous"
    assert layout.record("bn", 0) is None


def test_a_result_is_preferred_over_an_interrupted_rival(fabricate):
    plan = fabricate.make_plan(norms=("bn",), blocks=1)
    interrupted = fabricate.make_run(
        fabricate.make_spec(plan, "bn", 0, epochs=9), 0.8, "interrupted"
    )
    finished = fabricate.make_run(fabricate.make_spec(plan, "bn", 0), 0.8)
    (layout,) = arrange(plan, [interrupted, finished])
    assert layout.record("bn", 0) is finished


def test_blocks_beyond_the_plan_are_kept(fabricate):
    plan = fabricate.make_plan(norms=("bn",), blocks=1)
    extra = fabricate.make_run(fabricate.make_spec(plan, "bn", 4), 0.8)
    (layout,) = arrange(plan, [extra])
    assert layout.blocks == (0, 4)
