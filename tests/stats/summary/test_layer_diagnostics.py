"""The tidy tables of what went on inside, from rows that can be worked out by hand."""

from __future__ import annotations

import math

import pytest

from normlab.stats.data.layout import arrange
from normlab.stats.summary.layer_diagnostics import read_layer_summaries


@pytest.fixture
def study(fabricate, tmp_path):
    plan = fabricate.make_plan(("bn", "bin", "none"), blocks=3, epochs=4)
    runs = fabricate.write_study(tmp_path / "study", plan, fabricate.make_runs(plan))
    return plan, runs


def inside_of(plan, runs):
    (layout,) = arrange(plan, runs)
    return read_layer_summaries(layout)


def test_no_rows_no_tables(study) -> None:
    assert inside_of(*study) is None


def test_medians_over_the_blocks(fabricate, study) -> None:
    plan, runs = study
    for run in runs:
        fabricate.write_layers(run)
    inside = inside_of(plan, runs)
    assert inside.arms == ("bn", "bin", "none")
    assert inside.blocks == 3
    row = inside.features.query("arm == 'bn' and epoch == 2").iloc[0]
    assert [row.p1, row.p20, row.p80, row.p99] == [3, 5, 7, 9]  # (k + 1)·2 + block 1
    last = inside.last().query("arm == 'bin' and depth == 2").iloc[0]
    assert last.epoch == 4
    assert last.layer == "stages.1.norm"
    assert last.gradient == pytest.approx(0.06)
    assert last.gate == pytest.approx(0.9)
    assert inside.having("gate") == ("bin",)
    assert inside.having("mean_gap") == ("bn", "bin")
    assert math.isnan(inside.last().query("arm == 'none'").iloc[0].mean_gap)


def test_epochs_that_few_blocks_reached_are_left_out(fabricate, study) -> None:
    plan, runs = study
    for run in runs:
        fabricate.write_layers(run, epochs=4 if run.spec.block == 0 else 2)
    assert inside_of(plan, runs).features["epoch"].max() == 2


def test_a_damaged_file_is_named_and_the_rest_read(fabricate, study) -> None:
    plan, runs = study
    for run in runs:
        fabricate.write_layers(run)
    (runs[0].folder / "layers.jsonl").write_text("{}\n")
    inside = inside_of(plan, runs)
    assert len(inside.left_out) == 1
    assert "layers.jsonl was changed after the run had ended" in inside.left_out[0]
    assert inside.blocks == 3
