from __future__ import annotations

import pytest

from normlab.records.tuning_results import Trial, TunedArm, TuningResults
from normlab.report.export.formats import to_csv, to_latex, to_markdown
from normlab.report.sections.tables.further import further_tables
from normlab.stats.data.reading import read_study
from normlab.stats.summary.analysis import analyse


@pytest.fixture
def tables(fabricate, tmp_path):
    def make(tuning_results=None, **options):
        analysis = options.pop("analysis", None)
        plan = fabricate.make_plan(
            norms=("bn", "gn", "none"), blocks=10, epochs=8, analysis=analysis, **options
        )
        fabricate.write_study(tmp_path, plan, fabricate.make_runs(plan))
        study = read_study(tmp_path)
        found = further_tables(analyse(plan, study.runs, tuning_results))
        return {table.slug: table for table in found}

    return make


def test_claims_curves_and_looks(tables):
    found = tables(analysis={"looks": (4, 7, 10)})
    claims = found["claims-sgd-lr0.1-batch32"]
    assert [row[0] for row in claims.rows] == ["gn", "none"]
    assert all(row[3].text.startswith("[") for row in claims.rows)
    curves = found["curve-facts-sgd-lr0.1-batch32"]
    assert [row[0] for row in curves.rows] == ["bn", "gn", "none"]
    looks = found["looks-sgd-lr0.1-batch32"]
    assert [row[0] for row in looks.rows] == [4, 7, 10]
    assert any("none" in str(row[3]) for row in looks.rows)
    assert "interactions" not in found


def test_factors_and_tuning(tables):
    trials = (Trial(levels={"learning_rate": 0.1}, epochs=5, score=0.8, status="finished"),)
    arm = TunedArm(
        setting="sgd, batch 8", arm="bn", trials=trials, chosen={"learning_rate": 0.1},
        at_edge=("learning_rate",), runs=1, epochs=5, seconds=9.6,
    )  # fmt: skip
    ranges = {"learning_rate": (0.01, 1.0)}
    tuning_results = TuningResults(metric="accuracy", blocks=(1000,), ranges=ranges, arms=(arm,))
    found = tables(tuning_results, batch_size=(8, 32))
    assert found["interactions"].rows[0][0] == "batch size"
    assert found["tuning"].rows[0][:2] == ("bn", "sgd, batch 8")
    for table in found.values():
        assert to_markdown(table).count("\n|") >= 2
        assert "\\toprule" in to_latex(table)
        assert to_csv(table).count("\n") == len(table.rows) + 1


def test_without_runs_there_is_nothing_to_table(fabricate):
    plan = fabricate.make_plan()
    assert further_tables(analyse(plan, [])) == ()
