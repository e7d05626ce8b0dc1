"""Tuning once for a study: the same points for all, the same rungs, ranges that widen for all."""

from __future__ import annotations

import math

import numpy as np
import pytest

from normlab.errors import PlanError
from normlab.records.run import FIRST_TUNING_BLOCK, Outcome
from normlab.study.design.freeze import freeze
from normlab.study.design.runs import plan_runs
from normlab.study.study import Study
from normlab.study.tuning.once import rung_epochs, tune, tuning_runs
from normlab.study.tuning.points import sobol_points
from tuning_truth import Truth, outcome


def tuned_plan(make_plan, tuning=None, **changes):
    tuning = {"scope": "study", "points": 4, "learning_rate": [0.001, 1.0], **(tuning or {})}
    return freeze(make_plan(tuning=tuning, **changes), "fingerprint", ("a", "b"))


class World(Truth):
    def run(self, plan, limit: int = 10_000):
        while (state := tune(plan, self.ended)).tuning_results is None:
            assert state.missing
            self.train(state.missing[:limit])
        return state.tuning_results


def test_points_are_shared_logarithmic_and_go_on() -> None:
    ranges = {"learning_rate": (0.001, 1.0), "weight_decay": (1e-5, 1e-2)}
    points = sobol_points(ranges, 8, seed=3)
    assert points == sobol_points(ranges, 8, seed=3)
    assert sobol_points(ranges, 4, 3, start=8) == sobol_points(ranges, 12, 3)[8:]
    assert points == sobol_points(ranges, 12, 3)[:8]
    logs = [math.log10(point["learning_rate"]) for point in points]
    assert -3 <= min(logs) < -2 < -1 < max(logs) <= 0
    assert np.abs(np.mean(logs) + 1.5) < 0.4  # evenly spread, as Sobol points are
    assert points != sobol_points(ranges, 8, seed=4)


def test_every_arm_gets_the_same_and_keeps_its_own_best(make_plan) -> None:
    world = World(bn=0.1, gn=0.01)
    plan = tuned_plan(make_plan, {"points": 8})
    tuning_results = world.run(plan)
    bn, gn = tuning_results.arms
    assert [t.levels for t in bn.trials] == [t.levels for t in gn.trials]
    assert (bn.runs, bn.epochs, bn.seconds) == (gn.runs, gn.epochs, gn.seconds)
    assert bn.chosen["learning_rate"] > gn.chosen["learning_rate"]
    runs = plan_runs(plan, tuning_results)
    rates = {run.arm: run.optimizer.learning_rate for run in runs}
    assert rates == {arm.arm: arm.chosen["learning_rate"] for arm in (bn, gn)}
    assert all(spec.block >= FIRST_TUNING_BLOCK and spec.is_tuning for spec in world.specs)
    assert not any(run.is_tuning for run in runs)


def test_a_best_point_at_the_edge_widens_the_range_for_all(make_plan) -> None:
    world = World(bn=0.03, gn=8.0)
    tuning_results = world.run(tuned_plan(make_plan, {"points": 8}))
    bn, gn = tuning_results.arms
    assert tuning_results.ranges["learning_rate"] == (0.001, 10.0)
    assert [t.levels for t in bn.trials] == [t.levels for t in gn.trials]
    assert max(t.levels["learning_rate"] for t in bn.trials) > 1.0
    assert gn.chosen["learning_rate"] > 1.0
    assert bn.at_edge == ()


def test_still_at_the_edge_is_written_down(make_plan) -> None:
    tuning_results = World(bn=0.03, gn=1e4).run(tuned_plan(make_plan, {"points": 4, "widen": 0}))
    assert tuning_results.arms[1].at_edge == ("learning_rate",)
    assert tuning_results.ranges == {"learning_rate": (0.001, 1.0)}


def test_halving_has_the_same_rungs_for_all(make_plan) -> None:
    world = World(bn=0.1, gn=0.01)
    training = {"network": {"name": "resnet8"}, "epochs": 9, "augmentation": "none"}
    plan = tuned_plan(make_plan, {"points": 9, "rungs": 3, "widen": 0}, training=training)
    tuning_results = world.run(plan, limit=1)
    assert [rung_epochs(plan, rung) for rung in range(3)] == [1, 3, 9]
    for arm in tuning_results.arms:
        assert [t.epochs for t in arm.trials] == [1] * 9 + [3] * 3 + [9]
    assert tuning_results.arms[0].epochs == tuning_results.arms[1].epochs == 27
    assert len(tuning_runs(plan)) == 2 * 13 == len(world.done)


def test_a_trial_that_diverged_scores_chance(make_plan) -> None:
    plan = tuned_plan(make_plan, {"points": 2, "widen": 0})
    state = tune(plan, lambda spec: outcome(0.0, "diverged"))
    trial = state.tuning_results.arms[0].trials[0]
    assert (trial.score, trial.status) == (0.5, "diverged")


@pytest.mark.parametrize(
    ("tuning", "message"),
    [
        ({"learning_rate": [1.0, 0.1]}, r"must be \[low, high\]"),
        ({"learning_rate": [0.0, 0.1]}, r"must be \[low, high\]"),
        ({"points": 1}, "points"),
        ({"rungs": 9}, "rungs"),
    ],
)
def test_bad_tuning_is_a_sentence(make_plan, tuning, message) -> None:
    with pytest.raises(PlanError, match=message):
        tuned_plan(make_plan, tuning)


def test_what_is_tuned_cannot_be_compared(make_plan) -> None:
    with pytest.raises(PlanError, match="learning_rate is tuned"):
        tuned_plan(make_plan, analysis={"compare": "learning_rate", "reference": ""})


def test_a_real_study_tunes_first_and_never_reads_the_evaluation_part(
    make_plan, dataset, tmp_path
) -> None:
    plan = make_plan(
        tuning={"scope": "study", "points": 2, "widen": 0, "learning_rate": [0.01, 0.1]}
    )
    study = Study.create(tmp_path / "study", plan, dataset)
    order = [(spec.is_tuning, spec.arm) for spec, event in study.run(dataset)
             if isinstance(event, Outcome)]  # fmt: skip
    assert order == [(True, "bn"), (True, "bn"), (True, "gn"), (True, "gn"),
                     (False, "bn"), (False, "gn")]  # fmt: skip
    for folder in (study.folder / "tuning").iterdir():
        assert not (folder / "predictions.npz").exists()
        assert not (folder / "weights.safetensors").exists()
        assert '"test": null' in (folder / "outcome.json").read_text()
    tuning_results = study.tuning_results()
    assert tuning_results is not None
    assert study.missing() == []
    assert list(study.run(dataset)) == []
    chosen = {arm.arm: arm.chosen["learning_rate"] for arm in tuning_results.arms}
    assert {r.spec.arm: r.spec.optimizer.learning_rate for r in study.records()} == chosen
    again = Study.open(study.folder)
    (again.folder / "tuning.json").unlink()  # the account is made again from the runs
    assert list(again.run(dataset)) == []
    assert again.tuning_results() == tuning_results


def test_stopped_in_the_tuning_it_goes_on_to_the_same_end(make_plan, dataset, tmp_path) -> None:
    plan = make_plan(tuning={"scope": "study", "points": 2, "widen": 0})
    whole = Study.create(tmp_path / "whole", plan, dataset)
    list(whole.run(dataset))
    study = Study.create(tmp_path / "study", plan, dataset)
    for count in (1, 2, 1):
        started = iter(range(count))
        list(study.run(dataset, may_start=lambda _, left=started: next(left, None) is not None))
    assert study.tuning_results() is not None or study.missing()
    list(study.run(dataset))
    assert study.tuning_results().arms[0].chosen == whole.tuning_results().arms[0].chosen
    assert [r.outcome.test for r in study.records()] == [r.outcome.test for r in whole.records()]
