from __future__ import annotations

import math

import pandas as pd
import pytest

from normlab.report.charts.colours import strokes
from normlab.report.sections.answer.differences import (
    DifferenceRow,
    axis_limits,
    difference_figure,
)
from normlab.report.sections.curves.data import curve_figure, medians, value_range
from normlab.stats.data.curves import curves
from normlab.stats.summary.analysis import analyse


@pytest.fixture
def study(fabricate):
    plan = fabricate.make_plan(norms=("bn", "bin", "none"), epochs=4)
    runs = fabricate.make_runs(plan)
    return analyse(plan, runs), curves(plan, runs)


def test_eight_panels_with_equal_ranges_for_both_parts(study):
    analysis, frame = study
    figure = curve_figure(analysis.settings[0], frame, strokes(["bn", "bin", "none"]))
    assert [(panel.metric, panel.part) for panel in figure.panels[:3]] == [
        ("loss", "train"),
        ("loss", "validation"),
        ("accuracy", "train"),
    ]
    assert len(figure.panels) == 8
    assert figure.panels[2].range == figure.panels[3].range
    assert len(figure.panels[0].blocks) == 3 * 3 * 4
    assert len(figure.panels[0].medians) == 3 * 4
    assert not figure.is_empty


def test_the_median_is_over_blocks_and_ends_with_most_of_them():
    blocks = pd.DataFrame(
        [("a", 0, 1, 1.0), ("a", 1, 1, 2.0), ("a", 2, 1, 9.0), ("a", 0, 2, 5.0), ("b", 0, 2, 7.0)],
        columns=["arm", "block", "epoch", "value"],
    )
    assert medians(blocks).to_dict("records") == [
        {"arm": "a", "epoch": 1, "value": 2.0},
        {"arm": "b", "epoch": 2, "value": 7.0},
    ]


def test_one_exploding_loss_does_not_flatten_the_others():
    calm = pd.Series([0.5, 1.0] * 100)
    assert value_range(calm) == (0.5, 1.0)
    assert value_range(pd.concat([calm, pd.Series([1e6])])) == (0.5, 2.0)
    assert value_range(pd.Series([], dtype=float)) == (0.0, 1.0)


def test_differences_are_in_points_with_each_block(study):
    analysis, _ = study
    setting = analysis.settings[0]
    figure = difference_figure(setting, strokes(["bn", "bin", "none"]))
    comparison = setting.verdict.comparison("bin", "bn")
    bin_row, none_row = figure.rows
    assert bin_row.mean == pytest.approx(100 * comparison.difference.mean)
    assert (bin_row.low, bin_row.high) == pytest.approx(
        (100 * comparison.difference.interval.low, 100 * comparison.difference.interval.high)
    )
    assert sum(bin_row.blocks.values()) / 3 == pytest.approx(bin_row.mean)
    assert none_row.arm == "none"
    assert figure.margin == 1.0
    assert "none −12" in figure.description


def test_without_a_reference_there_is_no_difference_figure(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"), analysis={"reference": "ln"})
    setting = analyse(plan, fabricate.make_runs(plan)).settings[0]
    assert difference_figure(setting, strokes(["bn", "gn"])) is None


def test_every_mean_is_on_the_axis_and_far_ends_of_intervals_are_cut():
    def row(arm, mean, above=0.5):
        return DifferenceRow(arm, mean, mean - 0.5, mean + above, "", "undecided", {0: mean})

    low, high = axis_limits([row("a", 1.0, 90), row("b", -1.5), row("c", -40.0)], margin=1.0)
    assert -45 < low < -40
    assert 1.4 < high < 20
    assert math.isclose(*map(abs, axis_limits([row("a", 0.0)], margin=1.0)))
