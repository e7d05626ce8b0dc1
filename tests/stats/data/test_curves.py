from __future__ import annotations

import math

from normlab.stats.data.curves import COLUMNS, curves


def test_one_row_a_value(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=2, epochs=3)
    runs = fabricate.make_runs(plan)
    frame = curves(plan, runs)
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == 2 * 2 * 3 * 2 * 4
    run = runs[3]
    row = frame.query("arm == 'gn' and block == 2 and epoch == 2 and metric == 'macro_f1'")
    assert row.set_index("part")["value"].to_dict() == {
        "train": run.rows[1].train.macro_f1,
        "validation": run.rows[1].validation.macro_f1,
    }


def test_a_diverged_run_gives_its_epochs_and_nan(fabricate):
    plan = fabricate.make_plan(norms=("bn",), blocks=1, epochs=6)
    frame = curves(plan, fabricate.make_runs(plan, statuses={("bn", 0): "diverged"}))
    loss = frame.query("metric == 'loss' and part == 'train'")
    assert loss["epoch"].tolist() == [1, 2, 3]
    assert math.isnan(loss["value"].iloc[-1])


def test_no_runs_give_an_empty_table(fabricate):
    frame = curves(fabricate.make_plan(), [])
    assert frame.empty
    assert tuple(frame.columns) == COLUMNS
