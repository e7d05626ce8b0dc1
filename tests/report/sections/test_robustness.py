"""Where it breaks: the figure, the tables, the sentence, the section of the page."""

from __future__ import annotations

import pytest

from normlab.records.robustness import (
    AS_IT_IS,
    COMPOSITION,
    COMPOSITIONS,
    ROBUSTNESS,
    RobustnessRow,
    append_robustness,
)
from normlab.report.charts.colours import strokes
from normlab.report.page.build import build_report
from normlab.report.sections.robustness.chart import robustness_chart
from normlab.report.sections.robustness.data import robustness_view
from normlab.stats.data.layout import arrange
from normlab.stats.summary.robustness import LEVELS, robustness_table

LOST = {"bn": 0.3, "in": 0.02, "gn": 0.29}


@pytest.fixture
def study(fabricate, tmp_path):
    plan = fabricate.make_plan(tuple(LOST), blocks=4)
    runs = fabricate.write_study(tmp_path / "study", plan, fabricate.make_runs(plan))
    rows = []
    for run in runs:
        lost = LOST[run.spec.arm] + 0.01 * (run.spec.block % (3 if run.spec.arm == "bn" else 2))
        values = {(AS_IT_IS, "0"): 0.8}
        values |= {("contrast", level): 0.8 - lost for level in LEVELS}
        values |= {("blur", level): 0.79 - 0.01 * (run.spec.block % 2) for level in LEVELS}
        if run.spec.arm == "bn":
            values |= {(COMPOSITION, level): 0.4 for level in COMPOSITIONS}
        rows += [
            RobustnessRow(run=run.folder.name, change=c, level=x, accuracy=a, images=50, seed=0)
            for (c, x), a in values.items()
        ]
    append_robustness(tmp_path / "study", rows)
    return tmp_path / "study", plan, runs, rows


def view_of(plan, runs, rows):
    (layout,) = arrange(plan, runs)
    table = robustness_table(layout, rows, "bn", 0.05)
    return robustness_view(table, strokes(layout.arms))


def test_the_sentence_names_what_is_shown(study) -> None:
    _, plan, runs, rows = study
    view = view_of(plan, runs, rows)
    assert view.sentence.startswith("in loses less than bn under contrast")
    assert "blur" not in view.sentence


def test_the_tables(study) -> None:
    _, plan, runs, rows = study
    view = view_of(plan, runs, rows)
    row = next(r for r in view.losses.rows if r[:2] == ("contrast", "in"))
    assert row[2].text == "80.0"
    assert row[-1] == "loses less"
    assert row[-2].text.startswith("−28.")
    assert next(r for r in view.losses.rows if r[1] == "bn")[-1] == "reference"
    batches = {row[0]: row[2:] for row in view.batches.rows}
    assert {cell.text for cell in batches["in"]} == {"the same"}
    assert batches["in"][0].value == pytest.approx(80)
    assert batches["bn"][0].text.startswith("40.0")


def test_the_figure_begins_as_it_is(study) -> None:
    _, plan, runs, rows = study
    figure = view_of(plan, runs, rows).figure
    first = figure.frame.query("arm == 'in' and change == 'contrast'").iloc[0]
    assert (first["level"], first["mean"]) == ("0", pytest.approx(80))
    assert set(figure.frame.query("change == 'batch'")["arm"]) == {"bn"}
    panels = robustness_chart(figure).to_dict()["concat"]
    assert [panel["title"] for panel in panels] == ["contrast", "blur", "batch"]


@pytest.mark.slow
def test_the_page_has_the_section(study) -> None:
    folder, *_ = study
    page = build_report(folder).read_text()
    assert "in loses less than bn under contrast" in page
    assert "Not tried yet" not in page
    assert list((folder / "report" / "tables").glob("stress-sgd*.csv"))
    assert list((folder / "report" / "figures").glob("stress-*.pdf"))


@pytest.mark.slow
def test_damage_is_said_and_the_rest_shown(study) -> None:
    folder, *_ = study
    (folder / ROBUSTNESS).write_text("nonsense\n")
    assert "stress.jsonl is damaged; delete it" in build_report(folder).read_text()


@pytest.mark.slow
def test_a_study_that_was_not_tried_says_how(fabricate, tmp_path) -> None:
    plan = fabricate.make_plan(("bn", "in"), blocks=2)
    fabricate.write_study(tmp_path / "study", plan, fabricate.make_runs(plan))
    assert "normlab stress" in build_report(tmp_path / "study").read_text()
