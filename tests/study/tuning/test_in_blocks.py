"""Tuning anew in every block: equal for all arms, resumable, and never on the test part."""

from __future__ import annotations

import math

import numpy as np
import pytest

from normlab.records.run import Outcome
from normlab.study.design.freeze import freeze
from normlab.study.design.runs import plan_runs
from normlab.study.study import Study
from normlab.study.tuning.in_blocks import (
    block_tuning_runs,
    rung_epochs,
    tune_block,
    with_block,
)
from normlab.study.tuning.points import block_points
from normlab.study.tuning.rungs import tunable_arms
from tuning_truth import Truth


def tuned_plan(make_plan, tuning=None, **changes):
    tuning = {"points": 4, "learning_rate": [0.001, 1.0], **(tuning or {})}
    training = {"network": {"name": "resnet8"}, "epochs": 20, "augmentation": "none"}
    plan = make_plan(**{"tuning": tuning, "training": training, "blocks": 2, **changes})
    return freeze(plan, "fingerprint", ("a", "b"))


class World(Truth):
    def tune(self, plan, block: int, limit: int = 10_000, skipped=frozenset()):
        while (state := tune_block(plan, block, self.ended, skipped)).missing:
            self.train(state.missing[:limit])
        return state


def test_every_arm_of_a_block_tries_the_same_points(make_plan) -> None:
    plan = tuned_plan(make_plan, {"widen": 0})
    world = World(bn=0.1, gn=0.02)
    bn, gn = world.tune(plan, 1).arms
    assert [t.levels for t in bn.trials] == [t.levels for t in gn.trials]
    assert (bn.runs, bn.epochs, bn.seconds) == (gn.runs, gn.epochs, gn.seconds)
    assert bn.chosen["learning_rate"] == pytest.approx(0.1, rel=0.05)
    assert gn.chosen["learning_rate"] == pytest.approx(0.02, rel=0.05)
    assert {spec.block for spec in world.specs} == {1}
    assert all(spec.is_tuning and spec.purpose == "tuning" for spec in world.specs)


def test_blocks_try_points_of_their_own_that_together_cover_the_range() -> None:
    ranges = {"learning_rate": (0.001, 1.0)}
    logs = [
        math.log10(point["learning_rate"])
        for block in range(20)
        for point in block_points(ranges, 4, 0, block, 0)
    ]
    assert len({round(value, 6) for value in logs}) > 70
    counts, _ = np.histogram(logs, bins=4, range=(-3, 0))
    assert counts.tolist() == [20, 20, 20, 20]
    assert block_points(ranges, 4, 0, 3, 0) == block_points(ranges, 4, 0, 3, 0)
    assert block_points(ranges, 4, 0, 3, 0) != block_points(ranges, 4, 1, 3, 0)


@pytest.mark.parametrize("rungs", [1, 2, 3])
@pytest.mark.parametrize("points", [4, 8, 9])
def test_a_tuned_study_costs_twice_an_untuned_one(make_plan, points: int, rungs: int) -> None:
    training = {"network": {"name": "resnet8"}, "epochs": 60, "augmentation": "none"}
    plan = tuned_plan(make_plan, {"points": points, "rungs": rungs}, training=training)
    specs = block_tuning_runs(plan, 0)
    arms = len(tunable_arms(plan).popitem()[1])
    epochs = sum(spec.epochs for spec in specs) / arms
    assert 0.6 * 60 <= epochs <= 60
    assert [rung_epochs(plan, r + 1) / rung_epochs(plan, r) for r in range(rungs - 1)] == (
        pytest.approx([3.0] * (rungs - 1), rel=0.35)
    )


def test_stopped_in_the_middle_it_ends_the_same(make_plan) -> None:
    plan = tuned_plan(make_plan, {"points": 6, "rungs": 2})
    whole, parts = World(bn=0.1, gn=3.0), World(bn=0.1, gn=3.0)
    assert whole.tune(plan, 0) == parts.tune(plan, 0, limit=1)
    assert len(whole.specs) == len(parts.specs)


def test_an_optimum_outside_widens_the_range_for_all(make_plan) -> None:
    plan = tuned_plan(make_plan, {"points": 4, "learning_rate": [0.001, 0.1]})
    state = World(bn=0.01, gn=0.3).tune(plan, 0)
    bn, gn = state.arms
    assert state.ranges["learning_rate"] == (0.001, 1.0)
    assert [t.levels for t in bn.trials] == [t.levels for t in gn.trials]
    assert gn.chosen["learning_rate"] == pytest.approx(0.3, rel=0.05)
    assert (bn.at_edge, gn.at_edge) == ((), ())
    narrow = World(bn=0.01, gn=50.0).tune(plan, 0).arms[1]
    assert narrow.at_edge == ("learning_rate",)


def test_each_block_has_its_own_rate_and_a_dropped_arm_is_not_tuned(make_plan) -> None:
    plan = tuned_plan(make_plan, {"widen": 0})
    world = World(bn=0.1, gn=0.02)
    results = with_block(plan, None, world.tune(plan, 0))
    ((setting, _),) = tunable_arms(plan).items()
    second = World(bn=0.3, gn=0.02)
    results = with_block(plan, results, second.tune(plan, 1, skipped={(setting, "gn")}))
    assert {spec.arm for spec in second.specs} == {"bn"}
    rates = {(run.arm, run.block): run.optimizer.learning_rate for run in plan_runs(plan, results)}
    assert rates["bn", 0] == results.find(setting.label, "bn", 0).chosen["learning_rate"]
    assert rates["bn", 1] == results.find(setting.label, "bn", 1).chosen["learning_rate"]
    assert rates["bn", 0] == pytest.approx(0.1, rel=0.05)
    assert rates["bn", 1] == pytest.approx(0.3, rel=0.05)
    assert results.find(setting.label, "gn", 1) is None
    assert (results.has(0), results.has(1), results.has(2)) == (True, True, False)


def test_old_plans_and_runs_keep_their_identity(make_plan) -> None:
    """A plan of scope "study" hashes as one that knew no scope; so does a run that compares."""
    old = tuned_plan(make_plan, {"scope": "study"})
    content = old.model_dump(mode="json")
    del content["tuning"]["scope"]
    again = type(old).model_validate(content)
    assert again.tuning.scope == "study"
    assert again.hash == old.hash == old.frozen.hash
    assert tuned_plan(make_plan).hash != old.hash
    spec = plan_runs(old)[0]
    assert spec.model_copy(update={"purpose": "tuning"}).id != spec.id


@pytest.mark.slow
def test_a_real_study_tunes_and_runs_block_by_block(make_plan, dataset, tmp_path) -> None:
    plan = make_plan(
        tuning={"points": 3, "widen": 0, "learning_rate": [0.005, 0.1], "epochs": 1}, blocks=2
    )
    study = Study.create(tmp_path / "study", plan, dataset)
    assert len(study.missing()) == 2 * (2 * 3 + 2)
    order = [(spec.block, spec.is_tuning, spec.arm) for spec, event in study.run(dataset)
             if isinstance(event, Outcome)]  # fmt: skip
    tuning = [("bn", 3), ("gn", 3)]
    assert order == [
        row
        for block in (0, 1)
        for row in (
            *((block, True, arm) for arm, times in tuning for _ in range(times)),
            (block, False, "bn"),
            (block, False, "gn"),
        )
    ]
    for folder in (study.folder / "tuning").iterdir():
        assert not (folder / "predictions.npz").exists()
        assert '"test": null' in (folder / "outcome.json").read_text()
    results = study.tuning_results()
    assert study.missing() == []
    for record in study.records():
        entry = results.find(only_setting(study), record.spec.arm, record.spec.block)
        assert record.spec.optimizer.learning_rate == entry.chosen["learning_rate"]
    (study.folder / "tuning.json").unlink()  # the account is made again from the runs
    again = Study.open(study.folder)
    assert list(again.run(dataset)) == []
    assert again.tuning_results() == results


def only_setting(study: Study) -> str:
    """The label of the study's only setting."""
    ((setting, _),) = tunable_arms(study.plan).items()
    return setting.label


@pytest.mark.slow
def test_stopped_inside_the_tuning_of_a_block_it_ends_the_same(make_plan, dataset, tmp_path):
    plan = make_plan(tuning={"points": 3, "widen": 1, "epochs": 1}, blocks=2)
    whole = Study.create(tmp_path / "whole", plan, dataset)
    list(whole.run(dataset))
    study = Study.create(tmp_path / "study", plan, dataset)
    for count in (1, 4, 5, 1):
        started = iter(range(count))
        list(study.run(dataset, may_start=lambda _, left=started: next(left, None) is not None))
    list(study.run(dataset))
    mine, other = study.tuning_results(), whole.tuning_results()
    assert [arm.chosen for arm in mine.arms] == [arm.chosen for arm in other.arms]
    assert [r.outcome.test for r in study.records()] == [r.outcome.test for r in whole.records()]
