from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from normlab.records.plan import AnalysisPlan, parse_plan
from normlab.stats.data.pairing import PairedTable, paired_table
from normlab.stats.data.setting import Setting
from normlab.stats.inference.comparison import compare_all
from normlab.stats.inference.sequential import sequential_decisions, sequential_layouts
from normlab.stats.inference.verdict import judge


def judged(fabricate, analysis=None, **options):
    keys = ("norms", "blocks")
    plan = fabricate.make_plan(
        analysis=analysis, **{key: options.pop(key) for key in keys if key in options}
    )
    runs = fabricate.make_runs(plan, **options)
    return judge_study(plan, runs)


def judge_study(plan, runs):
    ((layout, decisions),) = sequential_layouts(plan, runs)
    return judge(paired_table(layout, plan.analysis.metric), plan, decisions)


def test_a_clear_study(fabricate):
    verdict = judged(fabricate, norms=("bn", "bin", "none"), blocks=8, sd=0.002)
    assert verdict.best == ("bin",)
    assert not verdict.exploratory
    assert verdict.blocks == 8
    assert [c.arm for c in verdict.against_reference()] == ["bin", "none"]
    assert verdict.sentence == (
        "From 8 blocks at learning rate 0.1: bin is better than bn (+1.2 points); none is worse "
        "than bn (−12.0 points); the best arm is bin."
    )


def test_below_five_blocks_it_is_exploratory(fabricate):
    assert judged(fabricate, blocks=4).exploratory
    assert not judged(fabricate, blocks=5).exploratory
    assert judged(fabricate, blocks=4).sentence.startswith("Exploratory, from 4 blocks at ")
    assert judged(fabricate, blocks=6, without={("gn", 1), ("gn", 2)}).exploratory


def test_undecided_says_how_many_blocks(fabricate):
    verdict = judged(fabricate, norms=("bn", "gn"), effects={})
    assert verdict.best == ("bn", "gn")
    further = verdict.against_reference()[0].further_blocks
    assert f"gn is undecided against bn (about {further} more block" in verdict.sentence
    assert "which of them is best is open" in verdict.sentence


def test_a_sanity_arm_is_practically_equal(fabricate):
    plan = fabricate.make_plan(norms=("bn", "torch-bn"))
    runs = [
        fabricate.make_run(fabricate.make_spec(plan, arm, block), 0.8 + block / 100)
        for block in range(3)
        for arm in ("bn", "torch-bn")
    ]
    verdict = judge_study(plan, runs)
    assert "torch-bn is practically equal to bn (within ±1.0 points)" in verdict.sentence


def test_for_the_loss_the_sentence_names_it(fabricate):
    verdict = judged(fabricate, {"metric": "loss"}, norms=("bn", "none"), blocks=6, sd=0.002)
    assert "none is worse than bn (loss, +0." in verdict.sentence
    assert verdict.best == ("bn",)


def test_divergence_is_said(fabricate):
    verdict = judged(fabricate, norms=("bn", "none"), statuses={("none", 0): "diverged"})
    assert verdict.sentence.endswith("diverged, and counted as guessing: none in 1 of 3 blocks.")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"without": {("bn", 0), ("gn", 0)}}, "No run has finished here yet"),
        ({"without": {("bn", 0)}}, "Only gn has results here"),
        ({}, "1 common block cannot tell a difference between arms from luck"),
    ],
)
def test_too_little_to_decide(fabricate, options, sentence):
    verdict = judged(fabricate, norms=("bn", "gn"), blocks=1, **options)
    assert verdict.sentence.startswith(sentence)
    assert all(c.decision == "undecided" for c in verdict.comparisons)


def test_without_its_reference_a_setting_still_compares(fabricate):
    verdict = judged(fabricate, {"reference": "ln"}, norms=("bn", "none"), blocks=6)
    assert verdict.reference is None
    assert verdict.against_reference() == ()
    assert verdict.best == ("bn",)
    assert "the reference ln has no result here" in verdict.sentence


def as_table(values):
    arms = tuple("abcdefgh"[: len(values)])
    status = (("finished",) * values.shape[1],) * len(values)
    blocks = tuple(range(values.shape[1]))
    return PairedTable(Setting("sgd", 0.1, 32), "accuracy", "test", arms, blocks, values, status)


@pytest.mark.slow
def test_studies_of_equal_arms_hardly_ever_find_a_better_one():
    """A/A: five arms of one kind, five blocks; a false decision anywhere in at most 5 %.

    20,000 studies at once by array, and our own code on the first of them to see that it decides
    the same.
    """
    random = np.random.default_rng(11)
    values = 0.8 + random.normal(0, 0.01, (20_000, 1, 5)) + random.normal(0, 0.006, (20_000, 5, 5))
    pairs = list(itertools.combinations(range(5), 2))
    differences = np.stack([values[:, b] - values[:, a] for a, b in pairs], axis=1)
    p_values = stats.ttest_1samp(differences, 0, axis=2).pvalue
    wrong = (p_values * len(pairs)).min(axis=1) < 0.05  # Holm rejects something
    assert wrong.mean() <= 0.05
    assert (p_values.min(axis=1) < 0.05).mean() > 0.3  # without the correction

    analysis = AnalysisPlan(reference="a", margin=1e-9)  # no escape into "practically equal"
    false = 0
    for study in range(600):
        comparisons = compare_all(as_table(values[study]), analysis)
        false += any(c.decision in ("better", "worse") for c in comparisons)
    assert false <= 600 * 0.05 + 3 * (600 * 0.05 * 0.95) ** 0.5


def test_a_much_better_arm_is_always_among_the_best():
    random = np.random.default_rng(12)
    plan = parse_plan(
        {
            "name": "abc",
            "blocks": 5,
            "data": {"source": "nowhere"},
            "analysis": {"reference": "a"},
        }
    )
    effects = np.array([0, 0, 0.03])[:, None]
    tables = [as_table(0.8 + effects + random.normal(0, 0.006, (3, 5))) for _ in range(100)]
    verdicts = [judge(table, plan, sequential_decisions(table, plan)) for table in tables]
    assert all("c" in verdict.best for verdict in verdicts)
    assert np.mean([verdict.best == ("c",) for verdict in verdicts]) > 0.5
