"""Durations as text, what a study costs, and the largest study that fits into a budget."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from normlab.errors import PlanError, UsageError
from normlab.records.plan import TuningPlan
from normlab.records.run import DataSpec, RunSpec
from normlab.study import budget
from normlab.study import calibration as calibration
from normlab.study.budget import (
    SAFE,
    Cost,
    CostKey,
    cost_key,
    fit_to_budget,
    measure_costs,
    parse_duration,
    run_seconds,
    study_seconds,
)
from normlab.study.design.freeze import freeze
from normlab.study.design.runs import plan_runs
from normlab.study.executors.registry import find_executor
from normlab.text import format_seconds

DATA = SimpleNamespace(sizes=(103, 10, 20))
COST = Cost(train=0.01, evaluate=0.001)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h", 3600), ("1.5h", 5400), ("night", 28800), (" 2 m ", 120)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "ten minutes", "-5m", "5d", "1h30m", "1e3s", "m"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(UsageError, match="a budget is like 10m, 1h or night, got"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.6, "60 s"),
        (99.4, "99 s"),
        (99.6, "1.7 min"),
        (596, "9.9 min"),
        (598, "10 min"),
        (5399, "90 min"),
        (5400, "1.5 h"),
        (90000, "25.0 h"),
    ],
)
def test_seconds_as_text(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def frozen(plan):
    return freeze(plan, "fingerprint", ("a", "b"))


def test_the_seconds_of_a_run_by_hand(make_plan) -> None:
    """Batch 4 over 103 images: 25 steps of 4, whole batches only."""
    training = {"epochs": 3, "network": {"name": "resnet8"}}
    run = plan_runs(frozen(make_plan(training=training)))[0]
    epoch = 100 * 0.01 + 10 * 0.001
    assert run_seconds(run, COST, DATA) == pytest.approx(3 * epoch + 133 * 0.001)


def test_the_seconds_of_a_study_are_those_of_its_runs(make_plan) -> None:
    runs = plan_runs(frozen(make_plan(blocks=2)))
    costs = {key("bn", 4): COST, key("gn", 4): Cost(train=0.02, evaluate=0.001)}
    assert study_seconds(runs, costs, DATA) == pytest.approx(
        sum(run_seconds(run, costs[cost_key(run)], DATA) for run in runs)
    )


def key(norm: str, batch_size: int) -> CostKey:
    return norm, batch_size, "cifar-resnet8", "none", "float32"


def plan_at(make_plan, image_size: int = 64):
    data = {"source": "nowhere", "image_size": image_size}
    return frozen(make_plan(data=data, factors={"norm": ["bn"], "batch_size": [1]}))


def choose(plan, seconds: float, data=None, **fixed: int):
    """One image in training, free evaluation, 1 s an image: blocks × epochs × pixels seconds."""
    data = data or SimpleNamespace(sizes=(1, 0, 0))
    costs = {key("bn", 1): Cost(train=1.0, evaluate=0.0)}
    choice = fit_to_budget(plan, costs, data, seconds / SAFE, fixed=fixed)
    assert choice.seconds <= seconds
    return choice.blocks, choice.epochs, choice.image_size


@pytest.mark.parametrize(
    ("seconds", "choice"),
    [
        (10_000, (10, 30, 64)),
        (300, (10, 30, 64)),
        (299, (5, 30, 64)),
        (149, (5, 20, 64)),
        (99, (5, 15, 64)),
        (74, (5, 10, 64)),
        (49, (5, 7, 64)),
        (29.5, (5, 5, 64)),
        (15, (5, 5, 48)),
        (7.5, (5, 5, 32)),
        (3.75, (3, 5, 32)),
        (2.5, (2, 5, 32)),
        (1.25, (1, 5, 32)),
        (0.75, (1, 3, 32)),
        (0.25, (1, 1, 32)),
    ],
)
def test_blocks_first_then_epochs_then_size(make_plan, seconds, choice) -> None:
    """Five blocks come first: below them a verdict is exploratory."""
    assert choose(plan_at(make_plan), seconds) == choice


def test_tuning_in_every_block_is_counted_in_every_block(make_plan) -> None:
    """By hand: 5 · (15 + 2 · 7) = 145 in every block; 5 · 20 + 2 · 20 = 140 once."""
    plan = plan_at(make_plan)
    tuned = {
        scope: plan.model_copy(update={"tuning": TuningPlan(points=2, scope=scope)})
        for scope in ("block", "study")
    }
    assert choose(tuned["block"], 149, blocks=5) == (5, 15, 64)
    assert choose(tuned["study"], 149, blocks=5) == (5, 20, 64)


def test_a_smaller_budget_never_chooses_a_larger_study(make_plan) -> None:
    plan = plan_at(make_plan)
    spent = []
    for seconds in (0.3, 1, 3, 10, 30, 100, 300):
        blocks, epochs, size = choose(plan, seconds)
        spent.append(blocks * epochs * (size / 64) ** 2)
    assert spent == sorted(spent)


def test_what_the_user_chose_is_kept(make_plan) -> None:
    plan = plan_at(make_plan)
    assert choose(plan, 100, blocks=7) == (7, 10, 64)
    assert choose(plan, 100, epochs=25) == (3, 25, 64)
    assert choose(plan, 35, epochs=25, image_size=64) == (1, 25, 64)
    assert choose(plan, 25, image_size=64) == (5, 5, 64)
    assert choose(plan, 4, blocks=2, epochs=8) == (2, 8, 32)
    assert choose(plan, 16, blocks=2, epochs=8, image_size=64) == (2, 8, 64)


def test_an_image_is_never_made_larger(make_plan) -> None:
    assert choose(plan_at(make_plan, 16), 10_000) == (10, 30, 16)
    assert choose(plan_at(make_plan, 16), 1) == (1, 1, 16)


@pytest.mark.parametrize("fixed", [{}, {"blocks": 2, "epochs": 8, "image_size": 64}])
def test_too_small_a_budget_is_a_sentence(make_plan, fixed) -> None:
    with pytest.raises(PlanError, match=r"^the budget of 0 s is too small: the least study takes"):
        choose(plan_at(make_plan), 0.2, **fixed)


def test_costs_are_measured_once_for_every_kind_of_run(make_plan, dataset) -> None:
    factors = {"norm": ["bn", "gn"], "learning_rate": [0.1, 0.01], "batch_size": [2, 4]}
    manifest = dataset.manifest
    runs = plan_runs(freeze(make_plan(factors=factors), manifest.fingerprint, manifest.classes))
    costs = measure_costs(runs, dataset)
    assert set(costs) == {key(norm, size) for norm in ("bn", "gn") for size in (2, 4)}
    assert all(cost.train > 0 and cost.evaluate > 0 for cost in costs.values())


def test_a_training_part_of_one_batch_is_measured_too(make_plan, dataset) -> None:
    manifest = dataset.manifest
    plan = make_plan(factors={"norm": ["bn"], "batch_size": [15]})
    (run,) = plan_runs(freeze(plan, manifest.fingerprint, manifest.classes))
    (cost,) = measure_costs([run], dataset).values()
    assert cost.train > 0
    assert cost.evaluate > 0


def test_a_pilot_that_breaks_does_not_stop_the_study(make_plan, dataset, monkeypatch) -> None:
    def burst(*args: object) -> None:
        raise RuntimeError("out of memory")

    manifest = dataset.manifest
    runs = plan_runs(freeze(make_plan(), manifest.fingerprint, manifest.classes))
    monkeypatch.setattr(calibration, "train_epoch", burst)
    assert set(measure_costs(runs, dataset).values()) == {Cost(0.0, 0.0)}


def test_a_batch_larger_than_the_training_part(make_plan, dataset) -> None:
    manifest = dataset.manifest
    plan = make_plan(factors={"norm": ["bn"], "batch_size": [16]})
    runs = plan_runs(freeze(plan, manifest.fingerprint, manifest.classes))
    with pytest.raises(PlanError, match="a batch of 16 is larger than the training"):
        measure_costs(runs, dataset)


def test_where_runs_are_made_elsewhere_nothing_is_trained(monkeypatch) -> None:
    """A driver on a login node: the ray and slurm executors say that they are elsewhere."""
    monkeypatch.setattr(budget, "_measure", lambda *_: pytest.fail("it was trained"))
    spec = RunSpec(
        arm="bn",
        block=0,
        norm="bn",
        data=DataSpec(fingerprint="x", classes=("a", "b"), image_size=8),
    )
    assert set(budget.measure_costs([spec], None, guess=True).values()) == {budget.GUESS}
    names = ("inline", "processes", "ray", "slurm")
    assert [find_executor(name)[0].elsewhere for name in names] == [
        False, False, True, True,
    ]  # fmt: skip
