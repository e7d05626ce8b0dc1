from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from normlab.errors import UnknownNameError
from normlab.stats.data.layout import arrange
from normlab.stats.data.pairing import paired_table, score


def paired_tables(plan, runs, metric, part="test"):
    """One table a setting, in the order of the plan."""
    return tuple(paired_table(layout, metric, part) for layout in arrange(plan, runs))


def test_values_are_arms_by_blocks_in_the_order_of_the_plan(fabricate):
    plan = fabricate.make_plan(blocks=2)
    runs = fabricate.make_runs(plan)
    (table,) = paired_tables(plan, runs[::-1], "accuracy")
    assert table.arms == fabricate.ARMS
    assert table.blocks == (0, 1)
    for run in runs:
        value = table.row(run.spec.arm)[run.spec.block]
        assert value == run.outcome.test.accuracy
    assert not table.values.flags.writeable


def test_one_table_a_setting(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"), optimizer=("sgd", "adam"), batch_size=(8, 32))
    tables = paired_tables(plan, fabricate.make_runs(plan), "loss")
    assert len({table.setting for table in tables}) == 4


@pytest.mark.parametrize(
    ("metric", "chance"), [("accuracy", 0.25), ("macro_f1", 0.25), ("loss", math.log(4))]
)
@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_divergence_scores_chance_and_is_counted(fabricate, metric, chance, part):
    plan = fabricate.make_plan(norms=("bn", "none"))
    runs = fabricate.make_runs(plan, statuses={("none", 1): "diverged"})
    (table,) = paired_tables(plan, runs, metric, part)
    assert table.row("none")[1] == chance
    assert table.count("none", "diverged") == 1
    assert table.count("bn", "diverged") == 0
    assert table.cells_without_value() == ()


@pytest.mark.parametrize("status", ["out_of_memory", "failed", "interrupted", "unfinished"])
def test_a_run_that_did_not_end_has_no_value_and_is_listed(fabricate, status):
    plan = fabricate.make_plan(norms=("bn", "gn"))
    runs = fabricate.make_runs(plan, statuses={("gn", 2): status}, without={("bn", 0)})
    (table,) = paired_tables(plan, runs, "accuracy")
    assert table.cells_without_value() == (("bn", 0, "missing"), ("gn", 2, status))
    assert table.differences("gn", "bn").size == 1
    assert table.smallest_common_blocks() == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_metric_that_is_not_finite_scores_chance(fabricate, bad):
    plan = fabricate.make_plan(norms=("bn",), blocks=1)
    (run,) = fabricate.make_runs(plan)
    test = run.outcome.test.model_copy(update={"loss": bad})
    broken = replace(run, outcome=run.outcome.model_copy(update={"test": test}))
    assert score(broken, "loss") == math.log(4)
    assert score(broken, "accuracy") == test.accuracy


def test_a_finished_run_without_evaluation_has_no_value(fabricate):
    plan = fabricate.make_plan(norms=("bn",), blocks=1)
    (run,) = fabricate.make_runs(plan)
    bare = replace(run, outcome=run.outcome.model_copy(update={"test": None}))
    assert math.isnan(score(bare, "accuracy"))


def test_arms_without_any_value_do_not_lower_the_common_blocks(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn", "ln"), blocks=2)
    runs = fabricate.make_runs(plan, without={("ln", 0), ("ln", 1)})
    (table,) = paired_tables(plan, runs, "accuracy")
    assert table.measured_arms() == ("bn", "gn")
    assert table.smallest_common_blocks() == 2
    (empty,) = paired_tables(plan, [], "accuracy")
    assert empty.smallest_common_blocks() == 0
    assert np.isnan(empty.values).all()


def test_an_unknown_metric_is_named(fabricate):
    with pytest.raises(UnknownNameError, match="did you mean 'accuracy'"):
        paired_tables(fabricate.make_plan(), [], "acuracy")
