"""Of very many blocks and runs the page shows what they have together, and files have each."""

from __future__ import annotations

import csv
import pickle

import numpy as np
import pytest

from normlab.report.charts.colours import strokes
from normlab.report.sections.answer.chart import difference_chart, value_chart
from normlab.report.sections.answer.data import blocks_csv, difference_note
from normlab.report.sections.answer.differences import difference_figure
from normlab.report.sections.answer.values import CROWDED_CAPTION, value_figure
from normlab.report.sections.base import BLOCKS_SHOWN, ReportContext
from normlab.report.sections.curves.axes import curve_axes
from normlab.report.sections.curves.chart import panel_chart
from normlab.report.sections.curves.data import FOLLOWED_BLOCKS, curve_figure
from normlab.report.sections.registry import sections
from normlab.report.sections.runs import data as runs_data
from normlab.report.sections.verdict.plot import difference_plot
from normlab.stats.data.curves import setting_curves
from normlab.stats.data.layout import arrange
from normlab.stats.data.reading import StudyRecords
from normlab.stats.summary.analysis import analyse

ARMS = ("bn", "gn")


@pytest.fixture(scope="module")
def context_of(fabricate):
    def make(blocks, statuses=None):
        analysis = {"reference": "bn", "looks": (blocks,)}
        plan = fabricate.make_plan(norms=ARMS, blocks=blocks, epochs=2, analysis=analysis)
        runs = tuple(fabricate.make_runs(plan, statuses=statuses))
        study = StudyRecords(runs[0].folder.parent.parent, plan, runs, ())
        return ReportContext(study, analyse(plan, runs), arrange(plan, runs), strokes(list(ARMS)))

    return make


@pytest.fixture(scope="module")
def few(context_of):
    return context_of(FOLLOWED_BLOCKS)


@pytest.fixture(scope="module")
def many(context_of):
    return context_of(BLOCKS_SHOWN + 1)


def marks(chart):
    return [
        mark if isinstance(mark := layer["mark"], str) else mark["type"]
        for layer in chart.to_dict()["layer"]
    ]


def test_dots_are_left_out_where_they_would_be_a_bar(few, many):
    for context, has_dots in ((few, True), (many, False)):
        (setting,) = context.settings
        values = value_figure(setting, context.strokes)
        differences = difference_figure(setting, context.strokes)
        plot = difference_plot(differences, setting, "bn", {"bn": 0, "gn": 1}, context.strokes)
        assert (marks(value_chart(values)).count("point") > 0) is has_dots
        assert (values.caption == CROWDED_CAPTION) is not has_dots
        assert any(row.blocks for row in plot.rows) is has_dots
        assert plot.has_ticks is has_dots
        ticks = difference_chart(differences).to_dict()["layer"][3]["data"]["name"]
        assert (len(difference_chart(differences).to_dict()["datasets"][ticks]) > 0) is has_dots
        assert ("each tick one block" in difference_note(differences, setting)) is has_dots


def test_a_file_has_every_block(few, many):
    (answer,) = [section for section in sections() if section.name == "answer"]
    assert answer.texts(answer.build(few)) == {}
    (text,) = answer.texts(answer.build(many)).values()
    head, *rows = csv.reader(text.splitlines())
    assert head == ["block", "bn: accuracy (%)", "gn: accuracy (%)"]
    assert [row[0] for row in rows] == [str(block + 1) for block in range(BLOCKS_SHOWN + 1)]
    table = many.settings[0].table
    assert np.array_equal(np.array(rows, dtype=float)[:, 1:], 100 * table.values.T)
    assert text == blocks_csv(many.settings[0])


def test_the_curves_keep_medians_and_a_band(few, many):
    for context, has_lines in ((few, True), (many, False)):
        frame = setting_curves(context.layouts[0])
        figure = curve_figure(context.settings[0], frame, dict(context.strokes))
        panel = figure.panels[0]
        assert (len(panel.blocks) > 0, figure.is_empty, panel.many) == (has_lines, False, True)
        own = frame[(frame["metric"] == "loss") & (frame["part"] == "train")]
        by_epoch = own.astype({"arm": str}).groupby(["arm", "epoch"])["value"]
        assert panel.medians["value"].tolist() == by_epoch.median().tolist()
        assert panel.band["low"].tolist() == by_epoch.quantile(0.1).tolist()
        assert figure.panels[4].twin == 2  # micro F1 is accuracy
        assert marks(panel_chart(panel, figure.frame)).count("line") == 1 + has_lines
        axes = curve_axes(context.layouts[0], {"bn": 0, "gn": 1})
        assert ("1|7" in axes.seconds, "1|" in axes.seconds) == (has_lines, True)
    assert len(pickle.dumps((panel, figure.frame))) < 10_000  # what a drawing process is sent


def test_the_page_has_some_runs_and_a_file_has_all(context_of, monkeypatch):
    (section,) = [one for one in sections() if one.name == "runs"]
    context = context_of(5, {("gn", 3): "failed", ("bn", 4): "diverged"})
    view = section.build(context)
    assert (len(view.shown), view.file, section.texts(view)) == (10, "", {})
    monkeypatch.setattr(runs_data, "RUNS_SHOWN", 4)
    view = section.build(context)
    assert [(row.arm, row.block) for row in view.shown] == [
        ("bn", 1), ("gn", 1), ("gn", 4), ("bn", 5),
    ]  # fmt: skip
    assert set(view.specs.own) == {row.id for row in view.shown}
    assert view.specs.own[view.shown[2].id] == {"arm": "gn", "norm": "gn", "block": "3"}
    ((name, text),) = section.texts(view).items()
    head, *rows = csv.reader(text.splitlines())
    assert (name, len(rows)) == ("tables/runs.csv", 10)
    assert dict(zip(head, rows[7], strict=True))["outcome"] == "failed"
