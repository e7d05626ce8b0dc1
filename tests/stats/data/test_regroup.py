"""Regrouping: the same runs, another factor as the arms; nothing on disk changes."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.errors import UnknownNameError, UsageError
from normlab.records.cells import Setting, arm_of, arm_of_run, cells
from normlab.records.tuning_results import Trial, TunedArm, TuningResults
from normlab.stats.data.layout import arrange
from normlab.stats.data.pairing import paired_table
from normlab.stats.data.reading import StudyRecords, read_study
from normlab.stats.data.regroup import regroup, varied_factors
from normlab.stats.summary.analysis import analyse_study


@pytest.fixture
def study(fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=5, batch_size=(8, 32, 128))
    return StudyRecords(tmp_path, plan, tuple(fabricate.make_runs(plan)), ())


def test_factors_that_vary(fabricate, study):
    assert varied_factors(study.plan) == {
        "norm": ("bn", "gn"),
        "batch_size": ("batch 8", "batch 32", "batch 128"),
    }
    tuned = fabricate.make_plan(norms=("bn",), learning_rate=(0.1, 0.01))
    assert list(varied_factors(tuned)) == ["learning_rate"]
    dump = tuned.model_dump(mode="json") | {"tuning": {"points": 4}, "frozen": None}
    assert varied_factors(type(tuned).model_validate(dump)) == {}


def test_every_value_is_that_of_the_same_run(study):
    seen = regroup(study, "batch_size")
    layouts = arrange(seen.plan, seen.runs)
    assert [layout.setting.norm for layout in layouts] == ["bn", "gn"]
    for layout in layouts:
        table = paired_table(layout, "accuracy")
        assert table.arms == ("batch 8", "batch 32", "batch 128")
        for run in study.runs:
            if run.spec.arm == layout.setting.norm:
                row = table.row(f"batch {run.spec.batch_size}")
                assert row[run.spec.block] == run.outcome.test.accuracy
    assert np.isfinite(paired_table(layouts[0], "loss").values).all()


def test_a_run_has_the_name_that_the_plan_gives_its_cell(study):
    for factor in varied_factors(study.plan):
        seen = regroup(study, factor).plan
        planned = {(Setting.of_cell(c, seen), arm_of(c, seen)) for c in cells(seen)}
        found = {(Setting.of(run.spec, seen), arm_of_run(run.spec, factor)) for run in study.runs}
        assert found == planned


def test_the_plans_own_factor_changes_nothing(study):
    assert regroup(study, "norm") is study
    with pytest.raises(UsageError, match="the plan itself compares norm, against bn"):
        regroup(study, "norm", "gn")


def test_every_verdict_of_a_regrouping_is_exploratory(study):
    assert not any(one.verdict.exploratory for one in analyse_study(study).settings)
    seen = analyse_study(regroup(study, "batch_size", "batch 32"))
    for one in seen.settings:
        assert one.verdict.exploratory
        assert one.verdict.reference == "batch 32"
        assert one.verdict.sentence.startswith(
            "Regrouped by batch size after the runs were made (the plan compares norm), so "
        )


def test_what_does_not_vary_is_refused(study):
    with pytest.raises(UsageError, match="a factor with two or more levels: norm, batch_size"):
        regroup(study, "optimizer")
    with pytest.raises(UnknownNameError, match="batch 32"):
        regroup(study, "batch_size", "batch 3")


def test_twins_of_one_norm_stay_apart(fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn", "bn as twin"), blocks=2, batch_size=(8, 32))
    runs = []
    for arm in ("bn", "twin"):
        for size in (8, 32):
            for block in range(2):
                spec = fabricate.make_spec(plan, arm, block, norm="bn", batch_size=size)
                runs.append(fabricate.make_run(spec, 0.8))
    seen = regroup(StudyRecords(tmp_path, plan, tuple(runs), ()), "batch_size")
    layouts = arrange(seen.plan, seen.runs)
    assert [layout.setting.norm for layout in layouts] == ["bn", "twin"]
    assert all(layout.status(arm, 0) == "finished" for layout in layouts for arm in layout.arms)


def test_the_account_of_a_tuning_goes_along(fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn", "gn"), batch_size=(8, 32))
    dump = plan.model_dump(mode="json") | {"tuning": {"points": 4}}
    dump["frozen"] = None
    plan = type(plan).model_validate(dump)
    trial = Trial(levels={"learning_rate": 0.1}, epochs=1, score=0.5, status="finished")
    arms = tuple(
        TunedArm(
            setting=f"sgd, batch {size}", arm=arm, block=0, trials=(trial,),
            chosen={"learning_rate": 0.1}, at_edge=(), runs=1, epochs=1, seconds=1.0,
        )
        for arm in ("bn", "gn", "gone") for size in (8, 32)
    )  # fmt: skip
    results = TuningResults(metric="accuracy", blocks=(), ranges={"learning_rate": (0.01, 1)},
                            arms=arms)  # fmt: skip
    seen = regroup(StudyRecords(tmp_path, plan, (), (), results), "batch_size")
    assert seen.tuning_results is not None
    assert {(one.setting, one.arm) for one in seen.tuning_results.arms} == {
        (f"{norm}, sgd", f"batch {size}") for norm in ("bn", "gn") for size in (8, 32)
    }


def test_nothing_on_disk_changes(fabricate, study, tmp_path):
    fabricate.write_study(tmp_path / "s", study.plan, study.runs)
    files = {p: p.read_bytes() for p in (tmp_path / "s").rglob("*") if p.is_file()}
    regroup(read_study(tmp_path / "s"), "batch_size")
    assert {p: p.read_bytes() for p in (tmp_path / "s").rglob("*") if p.is_file()} == files
