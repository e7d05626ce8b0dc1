"""Ensembles on the page: the table, the diagram and the files."""

from __future__ import annotations

import pytest

from normlab.report.charts.colours import strokes
from normlab.report.page.build import build_report
from normlab.report.sections.ensembles import data
from normlab.report.sections.ensembles.chart import reliability_chart
from normlab.report.sections.ensembles.data import ensemble_view
from normlab.stats.data.layout import arrange
from normlab.stats.summary.classes import collect
from normlab.stats.summary.ensembles import ensemble_table


@pytest.mark.slow
def test_the_table_and_the_diagram(fabricate, tmp_path, monkeypatch) -> None:
    plan = fabricate.make_plan(("bn", "gn"), blocks=3)
    runs = fabricate.write_study(tmp_path / "study", plan, fabricate.make_runs(plan))
    (layout,) = arrange(plan, runs)
    found = ensemble_table(layout, collect(layout), 0.05)
    monkeypatch.setattr(data, "FEWEST", 10**6)  # then the fullest bin of each is left
    few = ensemble_view(found, strokes(layout.arms)).figure.frame
    monkeypatch.setattr(data, "FEWEST", 1)
    view = ensemble_view(found, strokes(layout.arms))
    fullest = view.figure.frame.groupby(["name", "of"])["share"].max()
    assert (few.groupby(["name", "of"])["share"].min() == fullest).all()
    assert [row[0] for row in view.table.rows] == [
        "bn, all blocks",
        "gn, all blocks",
        "all arms of a block",
        "all arms and blocks",
    ]
    shares = view.figure.frame.groupby(["name", "of"])["share"].sum()
    assert (abs(shares - 1) < 1e-9).all()
    assert view.figure.colours["bn"] == strokes(layout.arms)["bn"].colour
    assert len(reliability_chart(view.figure).to_dict()["concat"]) == 4
    page = build_report(tmp_path / "study").read_text()
    assert "all arms and blocks" in page
    assert list((tmp_path / "study" / "report" / "tables").glob("ensembles-*.tex"))
    assert list((tmp_path / "study" / "report" / "figures").glob("reliability-*.svg"))


@pytest.mark.slow
def test_a_single_network_has_none(fabricate, tmp_path) -> None:
    plan = fabricate.make_plan(("bn",), blocks=1)
    fabricate.write_study(tmp_path / "study", plan, fabricate.make_runs(plan))
    page = build_report(tmp_path / "study").read_text()
    assert "An ensemble needs the predictions of two networks" in page
