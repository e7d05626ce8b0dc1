"""One norm at a time, a line and a row a batch size: the original's tables 4 to 7."""

from __future__ import annotations

import statistics

import pytest

from normlab.report.page.build import build_report
from normlab.report.sections.base import ReportContext
from normlab.report.sections.by_factor.data import factor_groups
from normlab.report.sections.by_factor.section import MAX_FIGURES, SECTION
from normlab.stats.data.reading import StudyRecords


@pytest.fixture
def study(fabricate, tmp_path):
    def make(**options):
        plan = fabricate.make_plan(**{"norms": ("bn", "gn"), "blocks": 3, **options})
        return StudyRecords(tmp_path, plan, tuple(fabricate.make_runs(plan)), ())

    return make


def test_tables_four_to_seven_of_the_original(study):
    records = study(batch_size=(128, 8, 32))
    bn, gn = factor_groups(records)
    assert (bn.label, gn.label) == ("bn, sgd, learning rate 0.1", "gn, sgd, learning rate 0.1")
    train, test = gn.tables
    assert train.title == "Training by batch size: gn, sgd, learning rate 0.1"
    assert test.head == ("batch size", "loss", "accuracy", "micro F1", "macro F1", "n")
    assert [row[0] for row in test.rows] == ["batch 8", "batch 32", "batch 128"]
    values = [
        run.outcome.train.macro_f1
        for run in records.runs
        if run.spec.norm == "gn" and run.spec.batch_size == 32
    ]
    assert train.rows[1][4].mean == pytest.approx(statistics.mean(values))
    assert train.rows[1][4].sd == pytest.approx(statistics.stdev(values))
    assert train.rows[1][-1] == 3


def test_a_line_a_batch_size(study):
    bn, _ = factor_groups(study(batch_size=(8, 32, 128)))
    assert len(bn.figure.panels) == 8
    assert set(bn.figure.panels[0].medians["arm"]) == {"batch 8", "batch 32", "batch 128"}
    assert len(bn.strokes) == 3


def test_an_optimizer_study_has_figures_by_optimizer(study):
    groups = factor_groups(study(optimizer=("sgd", "adam"), learning_rate=(0.1, 0.01)))
    assert [group.factor for group in groups] == ["optimizer"] * 4 + ["learning rate"] * 4
    assert groups[0].levels == ("sgd", "adam")
    assert groups[4].levels == ("learning rate 0.01", "learning rate 0.1")


def test_one_factor_has_nothing_by_factor(study):
    records = study()
    assert factor_groups(records) == ()


def test_levels_that_were_never_run_are_not_there(study):
    records = study(batch_size=(8, 32, 128))
    kept = tuple(run for run in records.runs if run.spec.batch_size != 32)
    bn, _ = factor_groups(StudyRecords(records.folder, records.plan, kept, ()))
    assert bn.levels == ("batch 8", "batch 128")


def test_a_big_study_draws_the_first_groups_alone(study):
    records = study(norms=("bn", "in", "ln", "gn", "none", "bin", "torch-bn"), blocks=1,
                    batch_size=(8, 32), learning_rate=(0.1, 0.01))  # fmt: skip
    view = SECTION.build(ReportContext(records, None, (), {}))
    assert len(view.groups) == 28
    assert len(view.drawn) == MAX_FIGURES
    assert len(SECTION.tables(view)) == 56


@pytest.mark.slow
def test_the_page_of_a_batch_size_study_and_of_its_regrouping(fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=2, batch_size=(8, 32))
    fabricate.write_study(tmp_path, plan, fabricate.make_runs(plan))
    page = build_report(tmp_path)
    text = page.read_text(encoding="utf-8")
    assert "By batch size: gn, sgd, learning rate 0.1" in text
    assert (tmp_path / "report/figures/curves-by-batch_size-bn-sgd-lr0.1.svg").is_file()
    assert (tmp_path / "report/tables/train-by-batch_size-bn-sgd-lr0.1.csv").is_file()
    other = build_report(tmp_path, compare="batch_size")
    assert other == tmp_path / "report" / "by-batch_size" / "index.html"
    assert page.read_text(encoding="utf-8") == text
    regrouped = other.read_text(encoding="utf-8")
    assert "Regrouped by batch size after the runs were made" in regrouped
    assert "batch 32" in regrouped
    assert 'id="methods"' in text
    assert 'id="methods"' not in regrouped
    assert build_report(tmp_path, compare="norm") == page
