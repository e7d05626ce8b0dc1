"""A study that looks while it runs: arms that have lost are not run further."""

from __future__ import annotations

import pytest

from normlab.records.run import Measures, Outcome
from normlab.stats.inference.sequential import sequential_layouts
from normlab.study.study import Study
from normlab.train import execute as training


def fake_training(monkeypatch, accuracies) -> None:
    """Runs end at once with an accuracy made up from arm and block."""

    def execute(spec, data, folder, **options):
        folder.create(spec, {})
        value = accuracies[spec.arm] + 0.001 * ((spec.block * 7 + len(spec.arm)) % 5)
        measures = Measures(loss=1, accuracy=value, micro_f1=value, macro_f1=value, images=1000)
        folder.write_outcome(
            Outcome(status="finished", epochs=0, validation=measures, test=measures)
        )
        return iter(())

    monkeypatch.setattr(training, "execute", execute)


@pytest.mark.slow
def test_arms_that_lost_are_left_out_of_later_blocks(
    make_plan, dataset, tmp_path, monkeypatch
) -> None:
    fake_training(monkeypatch, {"bn": 0.8, "gn": 0.8, "none": 0.4})
    plan = make_plan(
        blocks=10,
        factors={"norm": ["bn", "gn", "none"], "batch_size": [4]},
        analysis={"looks": [4, 7, 10]},
    )
    study = Study.create(tmp_path / "study", plan, dataset)
    ran = [(spec.arm, spec.block) for spec, _ in study.run(dataset)]
    assert {block for arm, block in ran if arm == "none"} == set(range(4))
    assert study.missing() == []
    ((layout, decisions),) = sequential_layouts(study.plan, study.records())
    assert decisions.dropped["none"] == 4
    assert decisions.over
    assert layout.status("none", 5) == "not needed"


def test_the_first_method_without_looks_runs_every_block(
    make_plan, dataset, tmp_path, monkeypatch
) -> None:
    fake_training(monkeypatch, {"bn": 0.8, "none": 0.4})
    factors = {"norm": ["bn", "none"], "batch_size": [4]}
    plan = make_plan(blocks=6, factors=factors, analysis={"method": 1})
    study = Study.create(tmp_path / "study", plan, dataset)
    assert len(list(study.run(dataset))) == 12


def test_a_new_study_is_judged_after_every_block_and_keeps_its_rules(
    make_plan, dataset, tmp_path, monkeypatch
) -> None:
    fake_training(monkeypatch, {"bn": 0.8, "gn": 0.8, "none": 0.4})
    factors = {"norm": ["bn", "gn", "none"], "batch_size": [4]}
    study = Study.create(tmp_path / "study", make_plan(blocks=6, factors=factors), dataset)
    assert (study.plan.analysis.method, study.plan.analysis.margin_share) == (2, 0.1)
    ran = [(spec.arm, spec.block) for spec, _ in study.run(dataset)]
    assert max(block for arm, block in ran if arm == "none") < 5
    again = Study.create(tmp_path / "study", make_plan(blocks=6, factors=factors), dataset)
    assert again.plan == study.plan
    fixed = make_plan(blocks=6, factors=factors, analysis={"margin": 0.5})
    other = Study.create(tmp_path / "other", fixed, dataset)
    assert other.plan.analysis.margin_share is None


@pytest.mark.slow
def test_an_extended_study_runs_what_was_added_without_the_dropped(
    make_plan, dataset, tmp_path, monkeypatch
) -> None:
    fake_training(monkeypatch, {"bn": 0.8, "gn": 0.8, "none": 0.4})
    plan = make_plan(
        blocks=6,
        factors={"norm": ["bn", "gn", "none"], "batch_size": [4]},
        analysis={"looks": [4, 6]},
    )
    study = Study.create(tmp_path / "study", plan, dataset)
    list(study.run(dataset))
    study.set_blocks(8)
    added = [(spec.arm, spec.block) for spec, _ in study.run(dataset)]
    assert added == [("bn", 6), ("gn", 6), ("bn", 7), ("gn", 7)]


@pytest.mark.slow
def test_a_run_that_fails_does_not_hold_up_later_looks(
    make_plan, dataset, tmp_path, monkeypatch
) -> None:
    fake_training(monkeypatch, {"bn": 0.8, "gn": 0.8})
    finish = training.execute

    def execute(spec, data, folder, **options):
        if (spec.arm, spec.block) != ("gn", 1):
            return finish(spec, data, folder, **options)
        folder.create(spec, {})
        folder.write_outcome(Outcome(status="failed", epochs=0, error="made to fail"))
        return iter(())

    monkeypatch.setattr(training, "execute", execute)
    factors = {"norm": ["bn", "gn"], "batch_size": [4]}
    analysis = {"looks": [2, 4], "margin": 0.2}
    study = Study.create(
        tmp_path / "study", make_plan(blocks=4, factors=factors, analysis=analysis), dataset
    )
    ran = [(spec.arm, spec.block) for spec, _ in study.run(dataset)]
    assert ran == [(arm, block) for block in range(4) for arm in ("bn", "gn")]
