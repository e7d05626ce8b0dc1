"""The section of rate curves: plain data, chart and table out of a tuning's account."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.records.cells import Setting
from normlab.records.tuning_results import Trial, TunedArm, TuningResults
from normlab.report.charts.colours import strokes
from normlab.report.charts.drawing import to_svg
from normlab.report.sections.rate_curves.chart import rate_chart
from normlab.report.sections.rate_curves.data import rate_view
from normlab.stats.summary.rate_curves import rate_curves

SETTING = Setting("sgd", None, 32)


@pytest.fixture
def view():
    """Four blocks of two arms; gn falls off above a rate of .1."""
    entries = []
    for block in range(4):
        for arm, highest in (("bn", 9.0), ("gn", 0.1)):
            rates = np.geomspace(0.001, 1.0, 6) * (1 + 0.1 * block)
            trials = tuple(
                Trial(
                    levels={"learning_rate": float(rate)},
                    epochs=3,
                    score=0.8 + 0.01 * block if rate < highest else 0.3,
                    status="finished",
                )
                for rate in rates
            )
            entries.append(
                TunedArm(
                    setting=SETTING.label,
                    arm=arm,
                    block=block,
                    trials=trials,
                    chosen={"learning_rate": 0.05 + 0.01 * block},
                    at_edge=(),
                    runs=6,
                    epochs=18,
                    seconds=1.0,
                )
            )
    results = TuningResults(
        metric="accuracy", blocks=(), ranges={"learning_rate": (0.001, 1.0)}, arms=tuple(entries)
    )
    (curves,) = rate_curves(results)
    return rate_view(curves, SETTING, strokes(["bn", "gn"]))


def test_values_are_percent_with_every_trial_and_pick(view) -> None:
    figure = view.figure
    assert len(figure.points) == 2 * 4 * 6
    assert len(figure.chosen) == 2 * 4
    bn = figure.lines[figure.lines["arm"] == "bn"]
    assert bn["mean"].between(79, 84).all()
    assert (bn["low"] <= bn["mean"]).all()
    assert figure.title == "validation accuracy after 3 epochs (%)"


def test_the_table_reads_the_curves_and_says_which_rates_are_borne(view) -> None:
    head = view.table.head
    assert head[0] == "norm"
    assert head[-2:] == ("borne", "chosen")
    assert head[1:-2] == tuple(f"at {r} (%)" for r in ("0.003", "0.01", "0.03", "0.1", "0.3", "1"))
    bn, gn = view.table.rows
    assert bn[-1].text == "0.05 to 0.08"
    assert bn[-2].text.startswith("0.0011 to 1.2")  # what two blocks reached
    assert gn[-2].interval[1] < 0.2
    assert gn[-3].value < 40 < bn[-3].value


def test_the_chart_is_drawn(view) -> None:
    svg = to_svg(rate_chart(view.figure))
    assert svg.startswith("<svg")
    assert "learning rate" in svg
