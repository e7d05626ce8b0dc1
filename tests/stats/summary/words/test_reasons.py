"""Reasons and strategies: each once with its number, checked by another way, and once absent."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from curve_studies import BLOCKS, flat, make, rising, say, statements
from normlab.records.tuning_results import Trial, TunedArm, TuningResults
from normlab.stats.inference.intervals import Interval, PairedDifference, Summary
from normlab.stats.summary.analysis import analyse
from normlab.stats.summary.ensembles import Ensemble, EnsembleTable
from normlab.stats.summary.layer_diagnostics import LAYER_COLUMNS, LayerSummaries
from normlab.stats.summary.rate_curves import rate_curves

# --- reasons


def test_running_statistics():
    curves = {("bn", 32): flat(0.8), ("gn", 32): flat(0.8)}
    plan, runs = make(curves, by_batches={"bn": lambda b: 0.04 + 0.002 * b})
    found = statements(say(plan, runs))
    reason = found["running statistics"]
    gains = np.array([0.04 + 0.002 * b for b in range(BLOCKS)])
    half = stats.t.ppf(0.975, BLOCKS - 1) * stats.sem(gains)
    assert reason.kind == "running statistics"
    why = [one.text for one in say(plan, runs).settings[0].why]
    expected = f"{100 * gains.mean():.1f} points higher ({100 * (gains.mean() - half):.1f} to "
    assert any(expected in text for text in why)
    assert "--norms bn,gn,bn:momentum=0.02,bn:momentum=0.5 " in found["moving averages"].command
    plan, runs = make(curves, by_batches={"bn": lambda b: 0.004 + 0.0001 * b})
    assert "running statistics" not in statements(say(plan, runs))  # real, but below the margin
    plan, runs = make(curves, by_batches={"bn": lambda b: 0.05 * (-1) ** b})
    assert "running statistics" not in statements(say(plan, runs))  # large, but not shown


def test_still_rising():
    plan, runs = make({("bn", 32): rising(0.9, 0.02), ("gn", 32): flat(0.9)})
    found = statements(say(plan, runs))
    one = found["still rising"].evidence[0].contrast
    assert one.arm == "bn, last epoch"
    assert one.difference == pytest.approx(np.mean([0.04 * (1 + 0.05 * b) for b in range(5)]), 1e-3)
    assert "--epochs 16" in found["longer training"].command
    plan, runs = make({("bn", 32): flat(0.9), ("gn", 32): flat(0.8)})
    assert "still rising" not in statements(say(plan, runs))


def test_divergence():
    curves = {("bn", 32): flat(0.9), ("none", 32): flat(0.8)}
    statuses = {("none", b): "diverged" for b in (1, 3)}
    found = statements(say(*make(curves, statuses)))
    assert found["divergence"].text.startswith("no normalization (none) diverged in 2 of 5 blocks")
    assert "--tune 4" in found["tuning"].command
    assert "divergence" not in statements(say(*make(curves)))


def test_few_values():
    curves = {("bn", 32): flat(0.9), ("in", 32): flat(0.8)}
    few = {("bn", 32): 512, ("in", 32): 4}
    text = statements(say(*make(curves, sites=few)))["few values"].text
    assert "in is lower than bn, and its statistics rest on 4 values in stages.2.1.norm2" in text
    assert "few values" not in statements(say(*make(curves, sites={**few, ("in", 32): 64})))
    higher = {("bn", 32): flat(0.8), ("in", 32): flat(0.9)}
    assert "few values" not in statements(say(*make(higher, sites=few)))


def layers_of(arms, **columns):
    rows = [
        (arm, block, depth, *(columns.get(name, lambda *_: np.nan)(arm, block, depth)
                              for name in LAYER_COLUMNS))
        for arm in arms for block in range(BLOCKS) for depth in (1, 2, 3)
    ]  # fmt: skip
    ends = pd.DataFrame(rows, columns=["arm", "block", "depth", *LAYER_COLUMNS])
    return LayerSummaries(tuple(arms), BLOCKS, pd.DataFrame(), pd.DataFrame(), (), ends)


def test_gradients_and_dead_channels():
    plan, runs = make({("bn", 32): flat(0.9), ("none", 32): flat(0.6)})

    def gradient(arm, block, depth):
        fades = 100.0 * 1.1 ** (block - 2) if arm == "none" else 1.0
        return (1 + 0.05 * block) * (1 / fades if depth == 1 else 1.0)

    def dead(arm, block, depth):
        return (0.3 if arm == "none" else 0.0) + 0.01 * block * (arm == "none")

    inside = layers_of(("bn", "none"), gradient=gradient, dead=dead)
    found = statements(say(plan, runs, layers=[inside]))
    assert "it is 0.01 times that of the last layer, in bn 1 times, a factor of 1e+02 apart" in (
        found["gradients"].text
    )
    assert "32 % are 0 for every image of the validation part, in bn 0 %" in (
        found["dead channels"].text
    )
    plan, runs = make({("bn", 32): flat(0.6), ("none", 32): flat(0.9)})  # the faded arm is better
    found = statements(say(plan, runs, layers=[inside]))
    assert not {"gradients", "dead channels"} & found.keys()
    plan, runs = make({("bn", 32): flat(0.9), ("none", 32): flat(0.6)})
    little = layers_of(("bn", "none"), dead=lambda arm, b, _: 0.03 * (arm == "none") + 0.001 * b)
    assert "dead channels" not in statements(say(plan, runs, layers=[little]))


def test_gates():
    plan, runs = make({("bn", 32): flat(0.9), ("bin", 32): flat(0.9)})

    def at(value, spread):
        return layers_of(
            ("bn", "bin"),
            gate=lambda arm, b, _: value + spread * (-1) ** b if arm == "bin" else np.nan,
        )

    text = statements(say(plan, runs, layers=[at(0.9, 0.01)]))["gates"].text
    assert text.startswith("The gates of bin stand at 0.90 on average (0.89 to 0.92; 1 is batch")
    assert text.endswith("it works mostly as batch normalization.")
    assert "gates" not in statements(say(plan, runs, layers=[at(0.55, 0.3)]))


def test_learning_rates():
    plan, runs = make({("bn", 32): flat(0.9), ("gn", 32): flat(0.9)})

    def tuning(limit):
        arms = []
        for block in range(4):
            for arm in ("bn", "gn"):
                trials = tuple(
                    Trial(levels={"learning_rate": float(rate)}, epochs=3, status="finished",
                          score=0.8 + 0.005 * block - 0.4 * (arm == "gn" and rate > limit))
                    for rate in np.geomspace(0.001, 1.0, 8)
                )  # fmt: skip
                arms.append(
                    TunedArm(setting="sgd, learning rate 0.1, batch 32", arm=arm, block=block,
                             trials=trials, chosen={"learning_rate": 0.05}, at_edge=(), runs=8,
                             epochs=24, seconds=1.0)
                )  # fmt: skip
        results = TuningResults(metric="accuracy", blocks=(), arms=tuple(arms),
                                ranges={"learning_rate": (0.001, 1.0)})  # fmt: skip
        return rate_curves(results)

    found = statements(say(plan, runs, rates=tuning(0.1)))["learning rates"]
    assert found.text.startswith("gn bears fewer learning rates than bn: at ")
    one = found.evidence[0].contrast
    assert one.difference == pytest.approx(-0.4, abs=0.03)
    assert "learning rates" not in statements(say(plan, runs, rates=tuning(10.0)))


# --- strategies


def test_overfitting_and_its_absence():
    curves = {("bn", 32): flat(0.85), ("gn", 32): flat(0.85, 0.001)}
    found = statements(say(*make(curves, gap=lambda b: 0.1 + 0.002 * b)))
    assert "--vary augmentation=none,light,standard" in found["augmentation"].command
    assert "--vary weight_decay=0.0005,0.0025" in found["regularization"].command
    assert "larger network" not in found
    found = statements(say(*make(curves, gap=lambda b: 0.002 * (-1) ** b)))
    assert "augmentation" not in found
    assert "network=cifar-resnet14,cifar-resnet20" in found["larger network"].command


def test_ensembles():
    plan, runs = make({("bn", 32): flat(0.85), ("gn", 32): flat(0.85)})
    (setting,) = analyse(plan, runs).settings

    def table(low, best=0.86):
        gain = PairedDifference(400, 0.02, 0.1, Interval(low, 0.03, 0.95), 0.01)
        single, mean = ({"accuracy": Summary(5, value, 0.01)} for value in (0.85, 0.87))
        one = Ensemble("bn", "blocks", 5, 1, single, mean, gain, (None, None))
        other = {"accuracy": Summary(5, best, 0.01)}
        two = Ensemble("gn", "blocks", 5, 1, other, other, None, (None, None))
        return EnsembleTable(setting.setting, 400, (one, two))

    found = statements(say(plan, runs, ensembles=[table(0.01)]))["ensembles"]
    assert "Averaging the 5 networks of the blocks of bn gains 2.0 points" in found.text
    assert "(1.0 to 3.0 over images" in found.text
    assert "ensembles" not in statements(say(plan, runs, ensembles=[table(-0.01)]))
    better = table(0.01, best=0.88)  # one network of another arm is better than this ensemble
    assert "ensembles" not in statements(say(plan, runs, ensembles=[better]))
