"""The probe: chance is told from learning by an exact test, and a budget buys learning first."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binom

from normlab.data.load import block_data
from normlab.records.data_report import Probe, probe_text, proposals_text
from normlab.stats.checks.base import StudyToCheck
from normlab.stats.checks.measures.nl020_probe import probe_at_chance
from normlab.study import probe as module
from normlab.study.budget import Cost, cost_key, fit_to_budget
from normlab.study.design.freeze import freeze
from normlab.study.design.runs import plan_runs
from normlab.study.probe import (
    LEVEL,
    LOOKS,
    least_epochs,
    probe_seconds,
    probed_run,
    run_probe,
    with_proposals,
)


def found(**changes) -> Probe:
    fields = {
        "arm": "bn", "seconds": 12.0, "epochs": 1.6, "planned_epochs": 10, "images": 100,
        "right": 12, "largest": 10, "p_value": 0.4, "learned": False,
    }  # fmt: skip
    return Probe.model_validate({**fields, **changes})


@pytest.fixture
def frozen(make_plan, dataset):
    plan = make_plan(factors={"norm": ["gn", "bn"], "batch_size": [4]}, training={"epochs": 4})
    manifest = dataset.manifest
    return freeze(plan, manifest.fingerprint, manifest.classes, manifest.groups_hash)


def test_the_reference_is_probed(frozen) -> None:
    assert probed_run(frozen, plan_runs(frozen)).arm == "bn"


def test_a_short_study_gets_none() -> None:
    assert probe_seconds(10) is None
    assert probe_seconds(60) == pytest.approx(3)
    assert probe_seconds(1e6) == 15
    assert probe_seconds(20, run=20) == pytest.approx(5)


def probed(frozen, dataset, monkeypatch, share: float, seconds: float = 0.5) -> Probe:
    """A probe whose validation part has this share of right answers."""
    run = probed_run(frozen, plan_runs(frozen))
    data = block_data(dataset, run)
    judged = SimpleNamespace(accuracy=share, images=len(data.labels("validation")))
    monkeypatch.setattr(module, "evaluate", lambda *rest: (judged, None))
    probe = run_probe(run, data, Cost(train=0.03, evaluate=0), seconds)
    assert probe is not None
    return probe


def test_all_right_is_learning_and_chance_is_not(frozen, dataset, monkeypatch) -> None:
    probe = probed(frozen, dataset, monkeypatch, 1.0)
    chance = probe.largest / probe.images
    exact = binom.sf(probe.images - 1, probe.images, chance)
    assert probe.p_value == pytest.approx(min(1, len(LOOKS) * exact))
    assert probe.learned == (exact <= LEVEL / len(LOOKS))
    at_chance = probed(frozen, dataset, monkeypatch, chance)
    assert not at_chance.learned
    assert at_chance.epochs > probe.epochs or not probe.learned
    assert at_chance.learned_after is None


def test_what_is_learned_is_seen(frozen, dataset) -> None:
    """A real probe, on pictures that are as bright as the number of their class."""
    run = probed_run(frozen, plan_runs(frozen))
    images = np.zeros_like(dataset.images)
    images[:] = (120 * dataset.manifest.labels).astype(np.uint8)[:, None, None, None]
    squares = (images.astype(np.int64) ** 2).sum((1, 2))
    clear = replace(
        dataset, images=images, pixel_sums=images.sum((1, 2), dtype=np.int64), pixel_squares=squares
    )
    # All epochs, as no clock has a part in this, at a rate so small that rounding has none either.
    run = run.model_copy(update={"epochs": 40, "learning_rate": 0.02})
    probe = run_probe(run, block_data(clear, run), Cost(train=0.001, evaluate=0), 1000)
    assert probe is not None
    assert probe.epochs >= 32
    assert probe.right == probe.images > probe.largest


def test_a_run_that_breaks_gives_no_probe(frozen, dataset, monkeypatch) -> None:
    def breaks(*rest):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(module, "build_network", breaks)
    run = probed_run(frozen, plan_runs(frozen))
    assert run_probe(run, block_data(dataset, run), Cost(0.01, 0), 1.0) is None


def test_at_most_so_many_images_are_judged(frozen, dataset, monkeypatch) -> None:
    monkeypatch.setattr(module, "JUDGED", 2)
    data = block_data(dataset, plan_runs(frozen)[0])
    judged = module._judged(data)
    assert len(judged.split.validation) == 2
    assert set(judged.split.validation) <= set(data.split.validation)


def test_its_line() -> None:
    assert probe_text(found(learned=True, right=34)) == (
        "one bn run, 12 s: 34 % on validation, chance is 10 %: it learns"
    )
    failed = found(proposals=("--epochs 30", "--image-size 96"))
    assert probe_text(failed) == (
        "one bn run, 12 s, 1.6 of 10 epochs: 12 % on validation, chance is 10 %: not clearly "
        "above chance (p = 0.4)"
    )
    assert proposals_text(failed) == "try --epochs 30 or --image-size 96"
    checked = probe_at_chance(StudyToCheck(None, (), probe=failed))
    assert checked.state == "finding"
    assert checked.message.endswith("(p = 0.4); try --epochs 30 or --image-size 96")
    assert probe_at_chance(StudyToCheck(None, (), probe=found(learned=True))).state == "passed"


def test_less_than_an_epoch_is_too_short_to_tell(frozen) -> None:
    short = with_proposals(found(epochs=0.6), frozen, 500)
    assert short.proposals == ()
    assert probe_text(short).endswith("not clearly above chance (p = 0.4), too short to tell")
    assert probe_at_chance(StudyToCheck(None, (), probe=short)).state == "not applicable"
    assert least_epochs(short) == 1
    assert not found(epochs=0.6, diverged=True).is_too_short
    assert not found(epochs=0.6, learned=True).is_too_short


def test_what_it_proposes(frozen) -> None:
    assert with_proposals(found(), frozen, 500).proposals == (
        "--epochs 30", "--image-size 32", "--learning-rates 0.01",
    )  # fmt: skip
    small = with_proposals(found(diverged=True), frozen, 16)
    assert small.proposals == ("--learning-rates 0.01",)
    assert "not finite" in probe_text(small)
    assert with_proposals(found(learned=True), frozen, 500).proposals == ()


@pytest.mark.parametrize(
    ("probe", "least"),
    [
        (None, 1),
        (found(), None),
        (found(learned=True, learned_after=0.3), 1),
        (found(learned=True, learned_after=5.5), 11),
    ],
)
def test_the_least_epochs(probe: Probe | None, least: int | None) -> None:
    assert least_epochs(probe) == least


@pytest.mark.parametrize(
    ("least", "choice"),
    [(1, (5, 10)), (10, (5, 10)), (12, (5, 12)), (20, (3, 20)), (40, (1, 40)), (None, (2, 30))],
)
def test_a_budget_buys_learning_before_blocks(make_plan, least, choice) -> None:
    """One image, 1 s each: 60 epochs in all."""
    plan = make_plan(
        data={"source": "nowhere", "image_size": 16},
        factors={"norm": ["bn"], "batch_size": [1]},
    )
    plan = freeze(plan, "f", ("a", "b"))
    costs = {cost_key(plan_runs(plan)[0]): Cost(train=1.0, evaluate=0.0)}
    data = SimpleNamespace(sizes=(1, 0, 0))
    best = fit_to_budget(plan, costs, data, 60 / 0.9 + 1e-6, fixed={}, least_epochs=least)
    assert (best.blocks, best.epochs) == choice
