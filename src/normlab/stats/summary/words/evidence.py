"""What a sentence rests on: differences inside blocks with their intervals, and how they are said.

    d_b = value of one arm in block b − value of the other,    d̄ ± t(1 − α/2m; n − 1)·s/√n

m is the number of comparisons in the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from normlab.stats.data.metrics import LABELS, MINUS, is_share
from normlab.stats.inference.comparison import INFERIOR, SUPERIOR
from normlab.stats.inference.intervals import SAME, Interval, paired_difference
from normlab.stats.inference.verdict import SettingVerdict
from normlab.stats.summary.verdict_clauses import shown as arm_name
from normlab.text import count, join

Values = Mapping[str, Float[np.ndarray, " blocks"]]
"""Of every arm its values over the blocks; nan where there is none."""
LISTED = 2
"""Arms that cannot be told apart get their intervals in the sentence up to this many."""


@dataclass(frozen=True)
class Measure:
    """A quantity, its unit, and the words for more and less of it."""

    name: str
    more: str = "higher"
    less: str = "lower"
    scale: float = 1.0
    digits: int = 1
    unit: str = ""
    """Of a difference, in the singular and plural alike."""
    has: str = "has {}"
    """What an arm does with its value."""

    def number(self, value: float) -> str:
        """A value or the size of a difference, without its unit or sign."""
        return f"{abs(self.scale * value):.{self.digits}f}"

    def amount(self, value: float) -> str:
        """The size of a difference with its unit."""
        return f"{self.number(value)} {self.unit}".strip()


def level_measure(metric: str, part: str) -> Measure:
    """A metric on a part of the data, at the end.

    >>> level_measure("accuracy", "test").has.format("81.4")
    'has 81.4 %'
    """
    name = f"{part} {LABELS[metric]}".capitalize().replace("f1", "F1")
    if is_share(metric):
        return Measure(name, scale=100.0, unit="points", has="has {} %")
    return Measure(f"{name} (lower is better)", digits=3)


@dataclass(frozen=True)
class Contrast:
    """One arm against another, over the blocks that both have."""

    arm: str
    other: str
    value: float
    """Mean of the arm."""
    other_value: float
    difference: float
    """Arm − other."""
    interval: Interval | None
    """At 1 − α/m; None with one block, and where all differences are the same number but 0."""
    n: int
    shown: bool
    """Whether the interval leaves out zero."""

    @property
    def nearest(self) -> float:
        """The end of the interval that is nearest to zero, as a size; 0 where nothing is shown."""
        if not self.shown or self.interval is None:
            return 0.0
        return min(abs(self.interval.low), abs(self.interval.high))


@dataclass(frozen=True)
class Evidence:
    """A row of the table behind the sentences."""

    setting: str
    measure: Measure
    contrast: Contrast


@dataclass(frozen=True)
class Statement:
    """One thing that is said, with what it rests on."""

    kind: str
    """level, smoothness, speed, gap, dependence; or what the reason is; or what to try."""
    text: str
    evidence: tuple[Evidence, ...] = ()
    command: str = ""
    """What would try it."""
    short: str = ""
    """The text for a terminal, where it is shorter."""


def contrast(
    values: Float[np.ndarray, " blocks"],
    others: Float[np.ndarray, " blocks"],
    names: tuple[str, str],
    alpha: float,
) -> Contrast | None:
    """One arm against another at the level 1 − α; None without a common block."""
    both = ~np.isnan(values) & ~np.isnan(others)
    if not both.any():
        return None
    found = paired_difference(values[both] - others[both], alpha)
    assert found.mean is not None
    interval = found.interval
    if interval is not None:
        shown = interval.low > SAME or interval.high < -SAME
    else:  # the same number in every block: the exact sign-flip test
        shown = found.p_value is not None and found.p_value < alpha
    value, other = float(values[both].mean()), float(others[both].mean())
    return Contrast(*names, value, other, found.mean, interval, found.n, shown)


def contrasts(values: Values, base: str, alpha: float) -> tuple[Contrast, ...]:
    """Every other arm against the base, all together at the level 1 − α.

    Where the base has no value, as one that diverged in every block, the first arm that has one
    takes its place.
    """
    there = [arm for arm in values if not np.isnan(values[arm]).all()]
    if len(there) < 2:
        return ()
    base = base if base in there else there[0]
    others = [arm for arm in there if arm != base]
    level = alpha / len(others)
    found = (contrast(values[arm], values[base], (arm, base), level) for arm in others)
    return tuple(one for one in found if one is not None)


def decided(values: Values, verdict: SettingVerdict) -> tuple[Contrast, ...]:
    """Every other arm against the reference as the verdict has it, with its intervals.

    The words on the metric that decides must not say another thing than the decision beside them,
    which knows all pairs and looks, and the noise of all of them.
    """
    found = []
    for pair in verdict.against_reference():
        both = ~np.isnan(values[pair.arm]) & ~np.isnan(values[pair.other])
        mean = pair.difference.mean
        if mean is None or not both.any():
            continue
        own, other = (float(values[arm][both].mean()) for arm in (pair.arm, pair.other))
        shown = pair.decision in SUPERIOR + INFERIOR
        found.append(
            Contrast(
                pair.arm, pair.other, own, other, mean, pair.interval, pair.difference.n, shown
            )
        )
    return tuple(found)


def compared(measure: Measure, one: Contrast) -> str:
    """A difference that is shown: "2.1 points lower (1.0 to 3.2)"."""
    word = measure.more if one.difference > 0 else measure.less
    text = f"{measure.amount(one.difference)} {word}"
    if one.interval is None or one.interval.low == one.interval.high:
        return f"{text} in every block"
    low, high = sorted((abs(one.interval.low), abs(one.interval.high)))
    return f"{text} ({measure.number(low)} to {measure.number(high)})"


def between(measure: Measure, one: Contrast) -> str:
    """What is open about a difference that is not shown."""
    if one.n < 2:
        return f"one block: {measure.amount(one.difference)} " + (
            measure.more if one.difference > 0 else measure.less
        )
    if one.interval is None:
        return f"{compared(measure, one)}, too few to be sure"
    if one.interval.low == one.interval.high:
        return "the same in every block"
    return (
        f"between {measure.amount(one.interval.low)} {measure.less} and "
        f"{measure.number(one.interval.high)} {measure.more}"
    )


def comparison_text(measure: Measure, values: Values, base: str, alpha: float) -> str:
    """Every arm against the base in one sentence; empty where there is nothing to compare."""
    return contrast_text(measure, values, contrasts(values, base, alpha))


def contrast_text(measure: Measure, values: Values, found: Sequence[Contrast]) -> str:
    """What was found of the arms against one of them, in one sentence."""
    if not found:
        return ""
    base = found[0].other
    return f"{measure.name}: {arm_name(base)} {has_text(measure, values[base])}; " + (
        f"{against_text(measure, found)}."
    )


def has_text(measure: Measure, values: Float[np.ndarray, " blocks"]) -> str:
    """The mean of an arm: "has 96.1 %"; a value below zero, as a gap may be, keeps its sign."""
    mean = float(np.nanmean(values))
    number = measure.number(mean)
    return measure.has.format(f"{MINUS}{number}" if mean < 0 and float(number) else number)


def against_text(measure: Measure, found: Sequence[Contrast]) -> str:
    """The arms that differ, each with its interval, then those that cannot be told apart."""
    parts = [f"{arm_name(one.arm)} is {compared(measure, one)}" for one in found if one.shown]
    rest = [one for one in found if not one.shown]
    base = arm_name(found[0].other)
    if rest and len(rest) <= LISTED:
        parts += [
            f"{arm_name(one.arm)} is not shown to differ from {base} ({between(measure, one)})"
            for one in rest
        ]
    elif rest:
        names = join([arm_name(one.arm) for one in rest])
        parts.append(f"{names} are not shown to differ from {base}")
    return "; ".join(parts)


def rows(setting: str, measure: Measure, found: Sequence[Contrast | None]) -> tuple[Evidence, ...]:
    """Contrasts as rows of the table."""
    return tuple(Evidence(setting, measure, one) for one in found if one is not None)


def blocks_text(number: int, all_blocks: int) -> str:
    """In how many of the blocks.

    >>> blocks_text(3, 5), blocks_text(5, 5)
    ('in 3 of 5 blocks', 'in all 5 blocks')
    """
    if number == all_blocks and number > 1:
        return f"in all {number} blocks"
    return f"in {number} of {count(all_blocks, 'block')}"
