"""The plain data behind values, cost, settings, robustness and the axes."""

from __future__ import annotations

import pytest

from normlab.report.charts.colours import strokes
from normlab.report.sections.answer.values import ValueRow, value_figure, value_limits
from normlab.report.sections.by_setting.data import matrix, settings_figure
from normlab.report.sections.cost.data import CostRow, cost_rows, mark_front
from normlab.report.sections.curves.axes import curve_axes, linear_ticks, units
from normlab.report.sections.divergence.data import reliability_rows
from normlab.report.sections.runs.specs import flat_specs
from normlab.stats.data.layout import arrange
from normlab.stats.summary.analysis import analyse
from normlab.stats.summary.methods import methods_paragraph

ARMS = ("bn", "bin", "none")


@pytest.fixture
def study(fabricate):
    def make(statuses=None, **options):
        plan = fabricate.make_plan(norms=ARMS, epochs=4, **options)
        runs = fabricate.make_runs(plan, statuses=statuses)
        return plan, runs, analyse(plan, runs)

    return make


def test_each_block_has_its_value_in_every_arm(study):
    _, _, analysis = study(statuses={("bin", 1): "unfinished"})
    setting = analysis.settings[0]
    figure = value_figure(setting, strokes(ARMS))
    assert [row.arm for row in figure.rows] == list(ARMS)
    assert set(figure.rows[1].blocks) == {1, 3}
    assert figure.rows[0].blocks[1] == pytest.approx(100 * setting.table.values[0, 0])
    assert "bn 8" in figure.description


def test_one_failed_run_does_not_stretch_the_values():
    rows = [
        ValueRow(arm, 98, "98.0", {b: 97.5 + 0.2 * b + 0.1 * i for b in range(5)})
        for i, arm in enumerate(("a", "b", "c"))
    ]
    low, high = value_limits([*rows, ValueRow("d", 90, "90.0", {0: 60.0, 1: 97.0})], margin=0.5)
    assert 90 < low < 97.5
    assert 98.5 < high < 102


def test_the_front_by_hand():
    def row(arm, seconds, value):
        return CostRow(arm, None, None, seconds, None, None, value)

    rows = [row("quick", 1, 0.7), row("best", 3, 0.9), row("beaten", 3, 0.8), row("no", None, 0.9)]
    assert [r.arm for r in mark_front(rows, 1) if r.front] == ["quick", "best"]
    assert [r.arm for r in mark_front(rows, -1) if r.front] == ["quick"]
    twins = mark_front([row("a", 1, 0.7), row("b", 1, 0.7)], 1)
    assert all(r.front for r in twins)


def test_cost_of_a_step(study):
    plan, runs, analysis = study(batch_size=(32,))
    rows = cost_rows(analysis.settings[0], arrange(plan, runs)[0])
    assert rows[0].step_ms == pytest.approx(32.0)  # 1,000 images a second
    assert rows[0].run_seconds == 16.0
    assert rows[0].texts("accuracy")[:3] == ("bn", "32.0", "1.00×")


def test_robustness_says_how_and_when(study):
    plan, runs, analysis = study(statuses={("none", 1): "diverged", ("none", 2): "failed"})
    rows = reliability_rows(analysis.settings[0], arrange(plan, runs)[0])
    assert rows[2][:5] == ("none", "1 finished, 1 diverged, 1 failed", "1 of 3", "2", "25.0")
    assert rows[0][2:4] == ("0 of 3", "–")


def test_where_it_holds(study):
    _, _, one = study()
    assert matrix(one, "bn") is None
    assert settings_figure(one, strokes(ARMS)) is None
    _, _, several = study(batch_size=(8, 32), optimizer=("sgd", "adam"))
    found = matrix(several, "bn")
    assert len(found.settings) == 4
    assert found.cells[0][0].decision == "reference"
    assert found.cells[2][0].decision == "worse"
    assert found.cells[2][0].text.startswith("−1")
    figure = settings_figure(several, strokes(ARMS))
    assert {(p.rule, p.batch_size) for p in figure.points} == {
        (rule, size)
        for rule in ("sgd, learning rate 0.1", "adam, learning rate 0.1")
        for size in (8, 32)
    }
    assert all(p.low < p.mean < p.high for p in figure.points)


def test_axes_in_other_units(study):
    plan, runs, _ = study()
    axes = curve_axes(arrange(plan, runs)[0], {arm: i for i, arm in enumerate(ARMS)})
    assert axes.last == 4
    # 4,000 training images in batches of 32: 125 steps an epoch
    assert axes.ticks["steps"] == linear_ticks(125, 500)
    assert axes.seconds["0|1"] == axes.seconds["0|"] == [250, 500, 750, 1000]
    assert units([axes]) == ("epochs", "steps", "images", "seconds")
    assert units([]) == ("epochs",)


def test_specs_are_shared_or_own(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"))
    specs = [fabricate.make_spec(plan, arm, block) for arm in ("bn", "gn") for block in (0, 1)]
    found = flat_specs(specs)
    assert set(found.own[specs[0].id]) == {"arm", "norm", "block"}
    assert found.shared["optimizer.learning_rate"] == "0.1"
    assert set(flat_specs(specs[:1]).own[specs[0].id]) == set()


def test_the_methods_say_what_was_fixed(study):
    _, runs, analysis = study()
    text = methods_paragraph(analysis, runs)
    for part in (
        "3 normalizations (bn, bin and none)",
        "3 blocks",
        "±1.0 points",
        "Holm",
        "α = 0.05",
    ):
        assert part in text
