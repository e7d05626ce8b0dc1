"""Inside the layers: the data of the figures, and what the page shows of them."""

from __future__ import annotations

import pytest

from normlab.report.charts.colours import strokes
from normlab.report.page.build import build_report
from normlab.report.sections.layer_diagnostics.chart import course_chart, depth_chart, feature_chart
from normlab.report.sections.layer_diagnostics.data import layer_diagnostics_figures, number
from normlab.stats.data.layout import arrange
from normlab.stats.summary.layer_diagnostics import read_layer_summaries


@pytest.fixture
def study(fabricate, tmp_path):
    plan = fabricate.make_plan(("bn", "bin", "none"), blocks=2, epochs=3)
    runs = fabricate.write_study(tmp_path / "study", plan, fabricate.make_runs(plan))
    for run in runs:
        fabricate.write_layers(run)
    return tmp_path / "study", plan, runs


def figures_of(plan, runs):
    (layout,) = arrange(plan, runs)
    return layer_diagnostics_figures(
        layout.setting, read_layer_summaries(layout), strokes(layout.arms)
    )


def test_the_figures_hold_what_the_rows_say(study) -> None:
    _, plan, runs = study
    figures = figures_of(plan, runs)
    assert figures.features.shared
    assert figures.features.rows[1] == ("bn", "3", "3.5", "6.5", "9.5", "12.5")
    assert [course.measure for course in figures.courses] == ["gate", "mean_gap"]
    assert figures.courses[0].arms == ("bin",)
    assert figures.depth.measures == ("gradient", "dead", "mean_gap")
    assert figures.depth.frame.query("arm == 'bn' and depth == 1")["dead"].item() == 25
    assert "bin" in figures.courses[0].description
    assert figures.table.rows[0][:2] == ("bn", "stages.0.norm")


def test_arms_far_apart_get_axes_of_their_own(fabricate, study) -> None:
    _, plan, runs = study
    (layout,) = arrange(plan, runs)
    inside = read_layer_summaries(layout)
    inside.features.loc[inside.features["arm"] == "none", "p99"] *= 100
    figure = layer_diagnostics_figures(layout.setting, inside, strokes(layout.arms)).features
    assert not figure.shared
    panels = feature_chart(figure).to_dict()["concat"]
    assert [panel["title"] for panel in panels] == ["bn", "bin", "none"]


def test_the_charts_have_a_panel_for_each(study) -> None:
    _, plan, runs = study
    figures = figures_of(plan, runs)
    assert len(course_chart(figures.courses[1]).to_dict()["concat"]) == 2
    panels = depth_chart(figures.depth).to_dict()["hconcat"]
    assert len(panels) == 3
    assert panels[0]["layer"][0]["encoding"]["y"]["scale"]["type"] == "log"


@pytest.mark.slow
def test_the_page_shows_them_and_the_files_are_there(study) -> None:
    folder, _, _ = study
    page = build_report(folder).read_text()
    assert "The gates of batch-instance normalization" in page
    assert "No run recorded" not in page
    figures = {path.name for path in (folder / "report" / "figures").glob("*.svg")}
    assert {"features", "gate", "mean_gap", "depth"} <= {name.partition("-")[0] for name in figures}
    (table,) = (folder / "report" / "tables").glob("layers-*.csv")
    assert len(table.read_text().splitlines()) == 1 + 3 * 3


@pytest.mark.slow
def test_a_study_without_rows_says_so(fabricate, tmp_path) -> None:
    plan = fabricate.make_plan(("bn", "in"), blocks=2, epochs=2)
    fabricate.write_study(tmp_path / "study", plan, fabricate.make_runs(plan))
    page = build_report(tmp_path / "study").read_text()
    assert "No run recorded what went on inside its layers." in page


def test_numbers_that_are_not_there_are_dashes() -> None:
    assert number(float("nan")) == "–"
