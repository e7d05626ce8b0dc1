"""Simulated studies for `verdicts.py`: accuracies of arms in blocks, and how a line is printed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from normlab.records.plan import StudyPlan, parse_plan
from normlab.stats.data.pairing import PairedTable
from normlab.stats.data.setting import Setting
from normlab.stats.inference.comparison import INFERIOR, SUPERIOR
from normlab.stats.inference.looks.margins import Margin
from normlab.stats.inference.looks.state import SequentialDecisions, SettingRules
from normlab.stats.inference.sequential import sequential_decisions

SD, BLOCK_SD = 0.006, 0.01
CHANCE = 0.25
ARMS = "abcdefgh"
DIFFERENT = SUPERIOR + INFERIOR
Noise = Callable[[np.random.Generator, int, int], np.ndarray]
NEVER = 1e-9
"""A margin that leaves no way into "practically equal"."""


def normal(random: np.random.Generator, arms: int, blocks: int) -> np.ndarray:
    """The noise of a run."""
    return random.normal(0, SD, (arms, blocks))


def heavy(random: np.random.Generator, arms: int, blocks: int) -> np.ndarray:
    """Student's t with 3 degrees of freedom, of the same sd."""
    return SD / math.sqrt(3) * random.standard_t(3, (arms, blocks))


def skewed(random: np.random.Generator, arms: int, blocks: int) -> np.ndarray:
    """Exponential: a tail on one side."""
    return SD * (random.exponential(1, (arms, blocks)) - 1)


def unequal(times: float) -> Noise:
    """One arm varies so many times as much as the others."""

    def noise(random: np.random.Generator, arms: int, blocks: int) -> np.ndarray:
        values = normal(random, arms, blocks)
        values[0] *= times
        return values

    return noise


def grouped(random: np.random.Generator, arms: int, blocks: int) -> np.ndarray:
    """Two groups of arms share their errors (r = .99)."""
    shared = random.normal(0, SD, (2, blocks))[np.arange(arms) % 2]
    return math.sqrt(0.99) * shared + math.sqrt(0.01) * normal(random, arms, blocks)


def failing(rate: float) -> Noise:
    """Every arm fails with this rate and then guesses."""

    def noise(random: np.random.Generator, arms: int, blocks: int) -> np.ndarray:
        failed = random.random((arms, blocks)) < rate
        return np.where(failed, CHANCE - 0.8, normal(random, arms, blocks))

    return noise


NOISES: dict[str, Noise] = {
    "normal": normal,
    "heavy tails": heavy,
    "skewed": skewed,
    "one arm 2 sd": unequal(2),
    "one arm 2.5 sd": unequal(2.5),
    "one arm 4 sd": unequal(4),
    "two groups, r .99": grouped,
    "failing 5 %": failing(0.05),
    "failing 20 %": failing(0.2),
}


def make_plan(cap: int, margin: float) -> StudyPlan:
    """The analysis of a simulated study."""
    return parse_plan(
        {
            "name": "simulated",
            "blocks": cap,
            "data": {"source": "nowhere"},
            "analysis": {"reference": "a", "method": 2, "margin": margin},
        }
    )


def make_table(values: np.ndarray) -> PairedTable:
    """One setting with these values; what guesses has diverged."""
    status = tuple(
        tuple("diverged" if value <= CHANCE else "finished" for value in row) for row in values
    )
    arms, blocks = tuple(ARMS[: len(values)]), tuple(range(values.shape[1]))
    return PairedTable(Setting("sgd", 0.1, 32), "accuracy", "test", arms, blocks, values, status)


def decisions_of(
    values: np.ndarray, margin: float, images: int | None = None
) -> SequentialDecisions:
    """The values judged after every block."""
    plan = make_plan(values.shape[1], margin)
    rules = SettingRules(Margin(margin, images, True), CHANCE, plan.analysis.alpha)
    return sequential_decisions(make_table(values), plan, rules)


def study(random: np.random.Generator, arms: int, blocks: int, noise: Noise = normal) -> np.ndarray:
    """Accuracies of one study of equal arms."""
    return 0.8 + random.normal(0, BLOCK_SD, (1, blocks)) + noise(random, arms, blocks)


def differs(decisions: SequentialDecisions) -> bool:
    """Whether any pair was called different."""
    return any(c.decision in DIFFERENT for c in decisions.comparisons)


def line(name: str, value: str, goal: str = "") -> None:
    """One row of the table."""
    print(f"{name:<78} {value:>18}   {goal}", flush=True)


def percent(count: float, of: int) -> str:
    """A rate with its standard error."""
    rate = count / max(of, 1)
    return f"{100 * rate:.1f} % ± {100 * math.sqrt(rate * (1 - rate) / max(of, 1)):.1f}"
