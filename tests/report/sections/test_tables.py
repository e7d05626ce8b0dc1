from __future__ import annotations

import pytest

from normlab.report.sections.tables.data import study_tables
from normlab.stats.inference.intervals import Summary
from normlab.stats.summary.analysis import analyse


def tables_of(fabricate, **options):
    plan = fabricate.make_plan(**options)
    return {table.slug: table for table in study_tables(analyse(plan, fabricate.make_runs(plan)))}


def test_one_setting_makes_the_table_by_norm_alone(fabricate):
    tables = tables_of(fabricate)
    assert list(tables) == [
        "norm-train-sgd-lr0.1-batch32",
        "norm-test-sgd-lr0.1-batch32",
    ]
    table = tables["norm-test-sgd-lr0.1-batch32"]
    assert table.head == ("norm", "loss", "accuracy", "micro F1", "macro F1", "n")
    assert [row[0] for row in table.rows] == list(fabricate.ARMS)
    assert table.text_columns == (True, *[False] * 5)


def test_cells_are_means_over_blocks_of_the_right_part(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=2)
    runs = fabricate.make_runs(plan)
    train, test = study_tables(analyse(plan, runs))
    values = [run.outcome.test.accuracy for run in runs if run.spec.arm == "gn"]
    cell = test.rows[1][2]
    assert cell == Summary(
        2, pytest.approx(sum(values) / 2), pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    )
    assert train.rows[1][2].mean > cell.mean
    assert test.rows[1][-1] == 2


def test_other_factors_make_tables_that_hold_the_rest_still(fabricate):
    tables = tables_of(
        fabricate, norms=("bn", "gn"), optimizer=("sgd", "adam"), batch_size=(128, 8)
    )
    assert len(tables) == 2 * (4 + 2 + 2)
    by_optimizer = tables["optimizer-train-batch8"]
    assert by_optimizer.head[:3] == ("optimizer", "learning rate", "norm")
    assert [row[:3] for row in by_optimizer.rows] == [
        ("sgd", "0.1", "bn"),
        ("sgd", "0.1", "gn"),
        ("adam", "0.1", "bn"),
        ("adam", "0.1", "gn"),
    ]
    by_batch_size = tables["batch-test-adam-lr0.1"]
    assert [row[:2] for row in by_batch_size.rows] == [
        ("bn", 8),
        ("bn", 128),
        ("gn", 8),
        ("gn", 128),
    ]


def test_a_second_learning_rate_makes_the_optimizer_table(fabricate):
    tables = tables_of(fabricate, norms=("bn",), learning_rate=(0.1, 1e-4))
    rows = tables["optimizer-test-batch32"].rows
    assert [row[1] for row in rows] == ["0.1", "0.0001"]
    assert not [slug for slug in tables if slug.startswith("batch")]


def test_no_runs_make_tables_without_numbers(fabricate):
    plan = fabricate.make_plan(norms=("bn",))
    train, _ = study_tables(analyse(plan, []))
    assert train.rows == (("bn", *[Summary(0, None, None)] * 4, 0),)
