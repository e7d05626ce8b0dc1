"""Decisions after every block: all pairs of a setting, at one look after the other.

At a look every pair that is still open is tested for a difference and for practical equality, each
by the boundary of all looks at α/m. m is the number of hypotheses that may still be true together:
for differences those of the closed test of all pairs, for equality Holm's. The chance of any false
"better" or "worse" at any look is then at most α. A decision stands once it is made; arms that are
worse than the leader are dropped; all is over when the arms that are left are decided, but not
before five blocks, and until then the second best arm stays: blocks of one arm alone tell nothing.

Sources: Holm 1979; Bergmann & Hommel 1988; Ye, Li, Liu & Yao 2013, "A group sequential Holm
procedure with multiple primary endpoints".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from normlab.records.plan import StudyPlan
from normlab.stats.data.metrics import is_share, orientation
from normlab.stats.data.pairing import PairedTable
from normlab.stats.inference.comparison import Comparison, Decision
from normlab.stats.inference.equivalence import bounded_equivalence_p_value
from normlab.stats.inference.error_model import Lender, lender_of, pair_errors, pairs_of
from normlab.stats.inference.forecast import Forecast, Rules, forecast
from normlab.stats.inference.intervals import (
    SAME,
    Interval,
    paired_difference,
    share_better,
    t_quantile,
    t_tail,
)
from normlab.stats.inference.looks.boundaries import boundary, level
from normlab.stats.inference.looks.closed_test import ClosedTest
from normlab.stats.inference.looks.dropping import Pair, dropped_at
from normlab.stats.inference.looks.e_process import confidence_sequence, t_e_value
from normlab.stats.inference.looks.failures import failure_bound, with_failures
from normlab.stats.inference.looks.state import (
    EXPLORATORY_BELOW,
    SequentialDecisions,
    SettingRules,
)
from normlab.stats.inference.sign_flip import sign_flip_p_value

_OPEN = ("missing", "unfinished", "interrupted")
"""What a cell is while its run has still to come."""


@dataclass
class _Found:
    """One pair at the last look that could say so much of it."""

    blocks: int
    """Of the look."""
    common: int
    """That both arms have."""
    mean: float
    variance: float
    df: float
    p_value: float
    equivalence_p: float | None
    decision: Decision = "undecided"
    hypotheses: tuple[int, int] = (1, 1)
    """That still stood: of no difference, of no equality."""
    e_value: float | None = None
    added: Interval | None = None
    """Beyond the plan: the confidence sequence."""


@dataclass
class _State:
    arms: tuple[str, ...]
    test: ClosedTest
    found: dict[Pair, _Found] = field(default_factory=dict)
    different: set[Pair] = field(default_factory=set)
    equal: set[Pair] = field(default_factory=set)
    dropped: dict[str, int] = field(default_factory=dict)
    lender: Lender | None = None
    """The largest table so far, which lends its error after arms were dropped."""

    @property
    def pairs(self) -> list[Pair]:
        return pairs_of(self.arms)

    def not_equal(self) -> int:
        """Pairs of which practical equality has not been shown: Holm's m."""
        return max(1, math.comb(len(self.arms), 2) - len(self.equal))


def run_every_look(
    table: PairedTable, plan: StudyPlan, looks: tuple[int, ...], rules: SettingRules
) -> SequentialDecisions:
    """Take every look that the runs so far allow, in order."""
    state = _State(table.arms, ClosedTest(len(table.arms)))
    active = list(table.arms)
    passed, over, seen = 0, False, table.first(0)
    for blocks in looks:
        part = table.first(blocks).only(active)
        if over or not is_complete(part, blocks):
            break
        passed, seen = passed + 1, part
        _look(part, state, looks, rules)
        if blocks == looks[-1]:
            over = True
            break
        losers = dropped_at(part, {pair: one.decision for pair, one in state.found.items()})
        state.dropped |= dict.fromkeys((arm for arm in active if arm in losers), blocks)
        active = [arm for arm in active if arm not in losers]
        over = blocks >= EXPLORATORY_BELOW and not _open_pairs(active, state)
    if passed == 0:
        seen = table
        _measure(table, state, table.values.shape[1], rules)
    elif over and passed == len(looks) and _begun(table) > looks[-1]:
        seen = table
        _add_blocks(table, state, rules)
    failures = {
        arm: failure_bound(table.count(arm, "diverged"), n, rules.alpha)
        for arm in table.measured_arms()
        if (n := int((~np.isnan(table.row(arm))).sum()))
    }
    decisions = SequentialDecisions(
        looks=looks,
        levels=tuple(level(looks, n, rules.planned_alpha) for n in looks),
        passed=passed,
        comparisons=(),
        dropped=state.dropped,
        over=over,
        rules=rules,
        failures=failures,
    )
    return replace(decisions, comparisons=_comparisons(table, seen, state, decisions, plan))


def is_complete(table: PairedTable, blocks: int) -> bool:
    """Whether no cell of the look is still to come."""
    if len(table.blocks) < blocks:
        return False
    return not any(status in _OPEN for row in table.status for status in row)


def _begun(table: PairedTable) -> int:
    return int((~np.isnan(table.values)).any(axis=0).sum())


def _measure(table: PairedTable, state: _State, blocks: int, rules: SettingRules) -> list[Pair]:
    """Measure every open pair of the arms that have a value; returns those that can be tested."""
    arms = table.measured_arms()
    values = table.only(arms).values
    errors = pair_errors(values, state.lender)
    own = lender_of(values)
    if own is not None and (state.lender is None or own.size >= state.lender.size):
        state.lender = own
    flat = np.maximum(errors.variances, 0.0) / np.maximum(errors.blocks, 1)
    testable = []
    for index, pair in enumerate(pairs_of(arms)):
        before = state.found.get(pair)
        if before is not None and before.decision != "undecided":
            continue
        common, mean = int(errors.blocks[index]), float(errors.means[index])
        found = _Found(blocks, common, mean, float(errors.variances[index]),
                       float(errors.df[index]), 1.0, None)  # fmt: skip
        state.found[pair] = found
        if common < 2:
            continue
        testable.append(pair)
        if flat[index] > SAME**2:
            found.p_value = 2 * t_tail(abs(mean) / math.sqrt(flat[index]), found.df)
        elif abs(mean) > SAME:
            found.p_value = 2.0 ** (1 - common)
        if rules.margin.usable:
            found.equivalence_p = bounded_equivalence_p_value(
                mean, found.variance, found.df, common, rules.margin.value, rules.margin.resolution
            )
    return testable


def _look(part: PairedTable, state: _State, looks: tuple[int, ...], rules: SettingRules) -> None:
    """Judge the open pairs at one look."""
    blocks, alpha = len(part.blocks), rules.planned_alpha
    testable = _renew(part, state, looks, rules)
    for pair in testable:
        if _all_right(part, pair):
            state.found[pair].decision = "too easy to tell apart"
    testable = [pair for pair in testable if state.found[pair].decision == "undecided"]
    overall = [boundary(looks).overall(blocks, state.found[pair].p_value) for pair in testable]
    _find_differences(state, testable, overall, alpha)

    def of_equality(pair: Pair) -> float:
        value = state.found[pair].equivalence_p
        return 1.0 if value is None else value

    for pair in sorted(testable, key=of_equality):
        found = state.found[pair]
        found.hypotheses = found.hypotheses[0], state.not_equal()
        if of_equality(pair) < level(looks, blocks, alpha / state.not_equal()):
            state.equal.add(pair)
    _decide(part, state, testable)


def _renew(
    part: PairedTable, state: _State, looks: tuple[int, ...], rules: SettingRules
) -> list[Pair]:
    """Measure every pair by the blocks of a look; returns the open ones that can be tested.

    A decision stands; its difference becomes that of all blocks while these would decide the same.
    """
    blocks, arms = len(part.blocks), {*part.measured_arms()}
    decided = {
        pair: one
        for pair, one in state.found.items()
        if one.decision in ("better", "worse") and {*pair} <= arms
    }
    state.found = {pair: one for pair, one in state.found.items() if pair not in decided}
    testable = _measure(part, state, blocks, rules)
    for pair, before in decided.items():
        now = state.found[pair]
        now.decision, now.hypotheses = before.decision, before.hypotheses
        overall = boundary(looks).overall(blocks, now.p_value) * now.hypotheses[0]
        if overall > rules.planned_alpha or now.mean * before.mean <= 0:
            state.found[pair] = before
    return [pair for pair in testable if pair not in decided]


def _find_differences(
    state: _State, testable: Sequence[Pair], overall: Sequence[float], alpha: float
) -> None:
    """Teach the closed test p-values for all looks together, and read what it has shown."""
    place = {pair: index for index, pair in enumerate(state.pairs)}
    p_values = np.ones(len(place))
    p_values[[place[pair] for pair in testable]] = overall
    state.test.learn(p_values)
    divisors = state.test.divisors(alpha)
    for pair in testable:
        state.found[pair].hypotheses = int(divisors[place[pair]]), state.not_equal()
        if p_values[place[pair]] <= alpha / divisors[place[pair]]:  # by what is seen now
            state.different.add(pair)


def _decide(table: PairedTable, state: _State, pairs: Sequence[Pair]) -> None:
    """Write what the tests found; what is both different and equal is practically equal."""
    sign = orientation(table.metric)
    for pair in pairs:
        found = state.found[pair]
        if pair in state.equal:
            found.decision = "practically equal"
        elif pair in state.different:
            found.decision = "better" if sign * found.mean > 0 else "worse"


def _add_blocks(table: PairedTable, state: _State, rules: SettingRules) -> None:
    """What is open at the end of the plan, with all added blocks: the same test on 1/E."""
    left = [arm for arm in table.measured_arms() if arm not in state.dropped]
    testable = _measure(table.only(left), state, len(table.blocks), rules)
    state.test = ClosedTest(len(state.arms))
    for pair in testable:
        state.found[pair].e_value = t_e_value(_differences(table, pair))
    surprise = [min(1.0, 1 / (state.found[pair].e_value or 1.0)) for pair in testable]
    _find_differences(state, testable, surprise, rules.added_alpha)
    for pair in testable:
        found = state.found[pair]
        m = found.hypotheses[0] if pair in state.different else state.not_equal()
        interval = confidence_sequence(_differences(table, pair), rules.added_alpha / m)
        found.added = interval
        largest = math.inf if interval is None else max(-interval.low, interval.high)
        if rules.margin.usable and largest < rules.margin.value:
            state.equal.add(pair)
    _decide(table, state, testable)


def _differences(table: PairedTable, pair: Pair) -> np.ndarray:
    return table.differences(pair[1], pair[0])


def _all_right(table: PairedTable, pair: Pair) -> bool:
    """Whether both arms have every image right in every run."""
    rows = np.array([table.row(arm) for arm in pair])
    return is_share(table.metric) and bool((rows[~np.isnan(rows)] >= 1 - SAME).all())


def _open_pairs(active: Sequence[str], state: _State) -> list[Pair]:
    return [
        pair
        for pair, found in state.found.items()
        if found.decision == "undecided" and pair[0] in active and pair[1] in active
    ]


def _comparisons(
    table: PairedTable,
    seen: PairedTable,
    state: _State,
    decisions: SequentialDecisions,
    plan: StudyPlan,
) -> tuple[Comparison, ...]:
    """Of every pair that was measured, in the order of the plan."""
    order = {pair: place for place, pair in enumerate(pairs_of(table.arms))}
    return tuple(
        _comparison(table, state, pair, decisions, plan)
        for pair in sorted(state.found, key=lambda pair: order[pair])
    )


def _comparison(
    table: PairedTable, state: _State, pair: Pair, decisions: SequentialDecisions, plan: StudyPlan
) -> Comparison:
    found, rules, alpha = state.found[pair], decisions.rules, plan.analysis.alpha
    assert rules is not None
    sign = orientation(table.metric)
    samples = _differences(table.first(found.blocks), pair)
    ahead: Forecast | None = None
    is_open = found.decision == "undecided" and not decisions.over
    if is_open and found.common >= 2 and decisions.passed:
        ahead = _forecast(found, decisions, rules)
    return Comparison(
        arm=pair[1],
        other=pair[0],
        difference=paired_difference(samples, alpha),
        adjusted_p=_adjusted_p(found, decisions, rules, alpha),
        equivalence_p=None if found.common < 2 else found.equivalence_p,
        share=share_better(sign * samples, alpha),
        sign_flip_p=sign_flip_p_value(samples),
        decision=with_failures(found.decision, table, pair, decisions.failures, rules.chance, sign),
        further_blocks=_further(found, ahead),
        simultaneous=_simultaneous(found, decisions, rules),
        forecast=ahead,
    )


def _adjusted_p(
    found: _Found, decisions: SequentialDecisions, rules: SettingRules, alpha: float
) -> float | None:
    """Below α exactly where the look decides: for all looks, all pairs and all settings."""
    if found.common < 2:
        return None
    if found.e_value is not None:
        return min(1.0, found.hypotheses[0] / found.e_value * alpha / rules.added_alpha)
    if decisions.passed == 0:
        return None
    overall = boundary(decisions.looks).overall(found.blocks, found.p_value)
    return min(1.0, overall * found.hypotheses[0] * alpha / rules.planned_alpha)


def _simultaneous(
    found: _Found, decisions: SequentialDecisions, rules: SettingRules
) -> Interval | None:
    """The interval that belongs to the decision: it leaves out 0, or lies inside the margin,
    exactly where the look decided so.
    """
    if found.added is not None:
        return found.added
    if found.common < 2 or decisions.passed == 0 or found.decision == "too easy to tell apart":
        return None
    equal = found.decision == "practically equal"
    one_sided = level(decisions.looks, found.blocks, rules.planned_alpha / found.hypotheses[equal])
    tail = one_sided if equal else one_sided / 2
    floor = rules.margin.value * (rules.margin.resolution or 0.0) if equal else 0.0
    variance = max(found.variance, floor)
    if variance <= SAME**2:
        return None
    half = t_quantile(1 - tail, found.df) * math.sqrt(variance / found.common)
    return Interval(found.mean - half, found.mean + half, 1 - 2 * tail)


def _forecast(found: _Found, decisions: SequentialDecisions, rules: SettingRules) -> Forecast:
    different, equal = (rules.planned_alpha / m for m in found.hypotheses)
    looks = [
        Rules(n, level(decisions.looks, n, different), level(decisions.looks, n, equal))
        for n in decisions.looks
        if n > found.blocks
    ]
    margin = rules.margin.value if rules.margin.usable else None
    floor = (margin or 0.0) * (rules.margin.resolution or 0.0)
    return forecast(found.mean, found.variance, found.df, found.blocks, looks, margin, floor)


def _further(found: _Found, ahead: Forecast | None) -> int | None:
    """The upper end of the range; 0 where it is decided, None where there is none."""
    if found.decision != "undecided":
        return 0
    return None if ahead is None else ahead.high
