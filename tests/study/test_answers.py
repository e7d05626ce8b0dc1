"""What a study says in Python: progress, answer, table, and the run that is chosen."""

from __future__ import annotations

import pytest

from normlab.errors import UnknownNameError, UsageError
from normlab.stats.data.reading import read_study
from normlab.stats.summary.analysis import analyse_study
from normlab.stats.summary.chosen_run import chosen_run
from normlab.study.study import Study

EFFECTS = {"bn": 0.0, "gn": -0.10, "none": -0.20}


@pytest.fixture
def study(fabricate, tmp_path) -> Study:
    """Of three arms that are far apart, in eight blocks."""
    plan = fabricate.make_plan(norms=tuple(EFFECTS), blocks=8, analysis={"method": 2})
    runs = fabricate.make_runs(plan, effects=EFFECTS, sd=0.004)
    fabricate.write_study(tmp_path / "photos-study", plan, runs)
    return Study(tmp_path / "photos-study", plan)


def test_the_answer(study) -> None:
    assert study.best == "bn"
    assert "24 of 24 runs ended, 8 blocks; use bn" in repr(study)
    lines = str(study.verdict).splitlines()
    assert lines[0].startswith("USE    bn  ")
    assert lines[1].startswith("NOT    gn, no normalization (none)  lower by")


def test_the_table(study) -> None:
    table = study.table().set_index("arm")
    assert list(table.index) == list(EFFECTS)
    assert table.loc["gn", "difference"] == pytest.approx(-0.10, abs=0.02)
    assert table.loc["gn", "low"] < table.loc["gn", "difference"] < table.loc["gn", "high"]
    assert table.loc["gn", "decision"].startswith("worse")
    html = study._repr_html_()
    assert "<table" in html
    assert "&lt;Study" not in html


def test_the_run_that_is_used(study) -> None:
    records = read_study(study.folder)
    analysis = analyse_study(records)
    run, why = chosen_run(records, analysis)
    assert run.spec.arm == "bn"
    assert why.startswith("every other arm is shown to be below it")
    same = [r for r in records.runs if r.spec.arm == "bn"]
    assert run.outcome.validation.accuracy == max(r.outcome.validation.accuracy for r in same)
    run, why = chosen_run(records, analysis, "gn", 3)
    assert (run.spec.arm, run.spec.block, why) == ("gn", 2, "as you asked")
    with pytest.raises(UnknownNameError, match="did you mean 'gn'"):
        chosen_run(records, analysis, "gnn")
    with pytest.raises(UsageError, match="block 9 has no finished run of it; there are 1, 2"):
        chosen_run(records, analysis, "gn", 9)


def test_a_study_without_a_run(fabricate, tmp_path) -> None:
    plan = fabricate.make_plan(norms=("bn", "gn"))
    assert "not saved yet" in repr(Study(tmp_path / "nowhere", plan))
    fabricate.write_study(tmp_path / "empty", plan, [])
    empty = Study(tmp_path / "empty", plan)
    assert "0 of 6 runs ended, 3 blocks; no run has finished yet" in repr(empty)
    assert empty.best is None
    with pytest.raises(UsageError, match="has no finished run; continue it with: normlab run"):
        empty.network()
