"""What is seen, in words: every kind of sentence once with its number, and once absent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from curve_studies import BLOCKS, flat, make, rising, say, statements
from normlab.stats.summary.analysis import analyse
from normlab.stats.summary.words.analysis_words import BRIEF, as_text, brief

# --- what is seen


def test_level_smoothness_and_gap():
    plan, runs = make({("bn", 32): flat(0.9), ("gn", 32): flat(0.85, 0.01)})
    found = statements(say(plan, runs))
    values = {
        arm: np.array([r.outcome.test.accuracy for r in runs if r.spec.arm == arm])
        for arm in ("bn", "gn")
    }
    (setting,) = analyse(plan, runs).settings
    truth = setting.verdict.comparison("gn", "bn").interval
    text = found["level"].text
    mean = 100 * (values["bn"] - values["gn"]).mean()
    assert f"Test accuracy: bn has {100 * values['bn'].mean():.1f} %; gn is {mean:.1f} points " in (
        text
    )
    assert f"lower ({-100 * truth.high:.1f} to {-100 * truth.low:.1f})" in text
    assert "Test loss (lower is better): bn has" in text
    assert "Test macro F1: bn has" in text
    rough = found["smoothness"]
    one = next(e.contrast for e in rough.evidence if "accuracy" in e.measure.name)
    by_hand = [np.sqrt(2 / 3) * 2 * 0.01 * (1 + 0.1 * b) for b in range(BLOCKS)]
    assert one.value == pytest.approx(np.mean(by_hand), rel=1e-3)
    assert one.shown
    assert f"gn is {100 * np.mean(by_hand):.1f} points rougher" in rough.text
    assert "bn is 2" in found["gap"].text
    assert "better in training" in found["gap"].text


def test_speed():
    plan, runs = make({("bn", 32): rising(0.9, 0.02), ("gn", 32): rising(0.9, 0.05)})
    speed = statements(say(plan, runs))["speed"]
    one = speed.evidence[0].contrast
    target = 0.95 * np.mean([r.rows[-1].validation.accuracy for r in runs if r.spec.arm == "bn"])
    by_hand = {
        arm: np.mean(
            [
                next(row.epoch for row in r.rows if row.validation.accuracy >= target)
                for r in runs
                if r.spec.arm == arm
            ]
        )
        for arm in ("bn", "gn")
    }
    assert (one.value, one.other_value) == (by_hand["gn"], by_hand["bn"])
    assert f"bn gets there at epoch {by_hand['bn']:.1f}" in speed.text


def test_an_arm_that_never_gets_there():
    plan, runs = make({("bn", 32): flat(0.9), ("none", 32): flat(0.5)})
    text = statements(say(plan, runs))["speed"].text
    assert "bn gets there at epoch 1.0." in text
    assert "no normalization (none) never gets there." in text


def test_equal_arms_are_not_said_to_differ():
    def other(block):
        return flat(0.9)(block) + 0.001 * (-1) ** block

    plan, runs = make({("bn", 32): flat(0.9), ("gn", 32): other}, gap=lambda b: 0.001 * (-1) ** b)
    found = statements(say(plan, runs))
    assert "gn is not shown to differ from bn (between" in found["level"].text
    assert "no gap is shown for bn and gn" in found["gap"].text
    assert not any(e.contrast.shown for e in found["level"].evidence)
    assert "tuning" not in found
    assert "augmentation" not in found


# --- dependence


def test_dependence_on_the_batch_size():
    plan, runs = make(
        {("bn", 8): flat(0.80), ("bn", 128): flat(0.90), ("gn", 8): flat(0.88, 0.002),
         ("gn", 128): flat(0.88, 0.001)},
        sites={("bn", 8): 32, ("bn", 128): 512, ("gn", 8): 512, ("gn", 128): 512},
    )  # fmt: skip
    words = say(plan, runs)
    found = statements(words)
    text = found["dependence"].text
    assert text.startswith("How much the arms differ depends on the batch size: shown for accuracy")
    table = {(r.spec.arm, r.spec.batch_size, r.spec.block): r.outcome.test.accuracy for r in runs}
    mean = {size: 100 * np.mean([table["bn", size, b] for b in range(BLOCKS)]) for size in (8, 128)}
    assert f"with bn, batch 8 has {mean[8]:.1f} %; batch 128 is {mean[128] - mean[8]:.1f} " in text
    assert "a larger batch takes fewer steps" in text
    reason = found["values a statistic"]
    assert "A small batch costs bn: from batch 128 to 8 it loses 10.0 points" in reason.text
    assert "rest on as few as 32 values at batch 8, 512 at batch 128" in reason.text
    own, against = (e.contrast for e in reason.evidence)
    table = {(r.spec.arm, r.spec.batch_size, r.spec.block): r.outcome.test.accuracy for r in runs}
    change = {
        arm: np.array([table[arm, 8, b] - table[arm, 128, b] for b in range(BLOCKS)])
        for arm in ("bn", "gn")
    }
    assert own.difference == pytest.approx(change["bn"].mean())
    assert against.difference == pytest.approx((change["bn"] - change["gn"]).mean())
    assert "other norms" in found
    assert "--norms bn,gn,ln " in found["other norms"].command
    lines = brief(words)
    assert len(lines) <= BRIEF
    assert f"bn {mean[8]:.1f} to {mean[128]:.1f} %" in lines[0]


def test_no_dependence_where_arms_go_together():
    curves = {
        (arm, size): lambda block, a=arm, s=size: flat(0.9)(block)
        + 0.001 * np.sin(7 * block + len(a) * s)
        for arm in ("bn", "gn") for size in (8, 128)
    }  # fmt: skip
    found = statements(say(*make(curves)))
    assert found["dependence"].text.startswith(
        "That the arms differ more at one batch size than at another is not shown"
    )
    assert "values a statistic" not in found


def test_gaining_by_a_small_batch_is_no_cost_of_it():
    plan, runs = make(
        {("bn", 8): flat(0.9), ("bn", 128): flat(0.85), ("gn", 8): flat(0.9, 0.001),
         ("gn", 128): flat(0.3)},
    )  # fmt: skip
    assert "values a statistic" not in statements(say(plan, runs))


# --- bad input


def test_two_arms_and_one_block():
    words = say(*make({("bn", 32): flat(0.9), ("gn", 32): flat(0.8)}, blocks=1))
    assert "(one block: 10.0 points lower)" in statements(words)["level"].text
    assert not any(e.contrast.shown for one in statements(words).values() for e in one.evidence)


def test_no_variance_at_all():
    curves = {(arm, 32): lambda _: np.full(8, 0.9) for arm in ("bn", "gn")}
    words = say(*make(curves, gap=0.0))
    assert "gn is not shown to differ from bn (the same in every block)" in as_text(words)


def test_an_arm_that_diverged_in_every_block():
    curves = {("bn", 32): flat(0.9), ("gn", 32): flat(0.8), ("none", 32): flat(0.8)}
    for lost in ("none", "bn"):
        words = say(*make(curves, {(lost, b): "diverged" for b in range(BLOCKS)}))
        text = as_text(words)
        assert "diverged in 5 of 5 blocks" in text
        assert "Test accuracy: bn has" in text  # guessing, where bn is the lost one
        assert "nan" not in text
    assert "First epoch with a validation accuracy" in text


def test_arms_that_only_guess_are_not_described():
    plan, runs = make({("bn", 32): flat(0.25), ("gn", 32): flat(0.24)})
    words = say(plan, runs)
    assert [one.kind for one in words.settings[0].seen] == ["chance"]
    assert words.settings[0].why == ()
    assert "--tune 4" in words.tries[0].command


def test_one_image_a_class_and_three_epochs(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=3, epochs=2)
    runs = []
    for run in fabricate.make_runs(plan):
        tiny = fabricate.make_measures(1.0, 4)
        outcome = run.outcome.model_copy(
            update=dict.fromkeys(("train", "validation", "test"), tiny)
        )
        runs.append(replace(run, outcome=outcome))
    words = say(plan, runs)
    assert "smoothness" not in statements(words)  # two epochs have no noise
    assert "the same in every block" in as_text(words)
    assert "nan" not in as_text(words)


def test_nothing_to_say(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"))
    assert say(plan, []).is_empty
    assert brief(say(plan, [])) == []


def test_after_few_epochs_longer_training_is_tried_before_a_larger_network(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=3, epochs=3)
    tries = {one.kind: one for one in say(plan, fabricate.make_runs(plan)).tries}
    assert tries["longer training"].text.startswith("3 epochs are too few to see")
    assert "--epochs 6" in tries["longer training"].command
    assert "larger network" not in tries
