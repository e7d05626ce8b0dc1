"""The clauses of a verdict by the second method: one an arm, that says what its interval says."""

from __future__ import annotations

from collections.abc import Sequence

from normlab.stats.data.metrics import LABELS, format_difference, orientation, unit
from normlab.stats.inference.comparison import CONDITIONAL, SUPERIOR, Comparison
from normlab.stats.inference.forecast import Forecast
from normlab.stats.inference.looks.state import EXPLORATORY_BELOW, SequentialDecisions
from normlab.text import count, join

NO_NORM = "no normalization (none)"


def shown(arm: str) -> str:
    """The arm's name in a sentence.

    >>> shown("bn"), shown("none")
    ('bn', 'no normalization (none)')
    """
    return NO_NORM if arm == "none" else arm


def basis(blocks: int, stage: str, decisions: SequentialDecisions) -> str:
    """How many blocks, and what they allow to say."""
    if stage == "extended":
        planned = decisions.looks[-1]
        return (
            f"From {count(blocks, 'block')}, {planned} of them planned and {blocks - planned} "
            "added, judged by e-values"
        )
    if stage == "interim":
        planned = decisions.looks[0]
        return f"Not judged yet (first look at {planned} complete blocks), from {blocks} so far"
    if blocks < EXPLORATORY_BELOW:
        return f"Exploratory, from {count(blocks, 'block')}"
    return f"From {count(blocks, 'block')}"


def nothing_learned(blocks: int) -> str:
    """The verdict where no arm is clearly above chance level.

    >>> nothing_learned(3)
    'In 3 blocks no arm is clearly above chance level, so there is no difference to see.'
    """
    where = f"In {count(blocks, 'block')}"
    return f"{where} no arm is clearly above chance level, so there is no difference to see."


def arm_clause(comparison: Comparison, metric: str, decisions: SequentialDecisions) -> str:
    """What is known of one arm against another, e.g. "bin is better than bn by 0.9 points"."""
    arm, other = shown(comparison.arm), shown(comparison.other)
    mean, interval = comparison.difference.mean, comparison.simultaneous
    if mean is None:
        return f"{arm} and {other} have no block in common yet"
    if comparison.decision == "too easy to tell apart":
        return f"{arm} and {other} get every test image right: too easy to tell apart"
    ends = "" if interval is None else f" ({_ends(metric, interval.low, interval.high)})"
    size = f"{_size(metric, mean)} {_unit(metric)}{ends}"
    if comparison.decision in ("better", "worse"):
        return f"{arm} is {comparison.decision} than {other} by {size}"
    if comparison.decision in CONDITIONAL:
        word = comparison.decision.split()[0]
        return f"{arm} is {word} than {other} by {size}{_condition(comparison, decisions)}"
    if comparison.decision == "practically equal":
        rules = decisions.rules
        margin = "" if rules is None else f", within ±{_size(metric, rules.margin.value)}"
        return f"{arm} is practically equal to {other}{ends[:-1]}{margin})"
    return f"{arm} is open against {other}: {_open(comparison, metric)}{_in_blocks(comparison)}"


def best_clause(arms: Sequence[str], best: Sequence[str], comparisons: Sequence[Comparison]) -> str:
    """Which arms may be the best."""
    who = "the best in runs that finish" if if_it_finishes(comparisons, best) else "the best"
    if len(best) == 1:
        return f"{who} is {shown(best[0])}"
    if len(best) == len(arms):
        return "which of them is best is open"
    return f"{who} is among {join([shown(arm) for arm in best])}"


def if_it_finishes(comparisons: Sequence[Comparison], best: Sequence[str]) -> bool:
    """Whether what sets the best arms apart holds of finished runs only."""
    return any(c.decision in CONDITIONAL and {c.arm, c.other} & {*best} for c in comparisons)


def course_clauses(stage: str, decisions: SequentialDecisions) -> list[str]:
    """Which arms were dropped, and which blocks will not come."""
    clauses = [
        f"{shown(arm)} was dropped after {count(blocks, 'block')}"
        for arm, blocks in decisions.dropped.items()
    ]
    if stage == "planned" and decisions.over and decisions.blocks < decisions.looks[-1]:
        clauses.append(
            f"all that is left is decided, so blocks {decisions.blocks + 1} to "
            f"{decisions.looks[-1]} are not needed"
        )
    return clauses


def failure_clauses(decisions: SequentialDecisions) -> list[str]:
    """How many runs failed, and how many may."""
    failures = decisions.failures
    if not failures:
        return []
    clauses = [
        f"{shown(arm)} failed in {bound.failed} of {count(bound.runs, 'run')}, counted as guessing "
        f"(up to {100 * bound.upper:.0f} % may)"
        for arm, bound in failures.items()
        if bound.failed
    ]
    clean = [bound for bound in failures.values() if not bound.failed]
    staying = [bound for arm, bound in failures.items() if arm not in decisions.dropped]
    if clean:
        who = "no run of the others failed" if clauses else "no run failed"
        fewest = min((b for b in staying if not b.failed), default=None, key=lambda b: b.runs)
        if fewest is not None:
            runs = count(fewest.runs, "run")
            who += (
                f", but {runs} of an arm cannot rule out up to {100 * fewest.upper:.0f} % failures"
            )
        clauses.append(who)
    return clauses


def range_of_blocks(forecast: Forecast) -> str:
    """The range in words.

    >>> range_of_blocks(Forecast(3, 12)), range_of_blocks(Forecast(3, None))
    ('probably 3 to 12 more blocks', 'at least 3 more blocks, perhaps more than are planned')
    """
    if forecast.low is None:
        return "probably more blocks than are planned"
    at_least = count(forecast.low, "more block")
    if forecast.high is None:
        return f"at least {at_least}, perhaps more than are planned"
    if forecast.low == forecast.high:
        return f"probably {at_least}"
    return f"probably {forecast.low} to {forecast.high} more blocks"


def _open(comparison: Comparison, metric: str) -> str:
    """What the interval says, and how many blocks it may take."""
    interval = comparison.simultaneous or comparison.difference.interval
    if interval is None:
        said = "nothing can be said of its size yet"
    else:
        sign = orientation(metric)
        low, high = sorted((sign * interval.low, sign * interval.high))
        if low < 0 < high:
            said = f"it may be worse by up to {_size(metric, low)} or better by up to "
            said += f"{_size(metric, high)} {_unit(metric)}"
        else:  # what is seen is on one side, and yet not enough for a decision
            ends = sorted((_size(metric, low), _size(metric, high)), key=float)
            said = f"it was {'worse' if high <= 0 else 'better'} by {ends[0]} to {ends[1]} "
            said += f"{_unit(metric)}, which is not enough to decide yet"
    if comparison.forecast is None:
        return said
    return f"{said} ({range_of_blocks(comparison.forecast)})"


def _condition(comparison: Comparison, decisions: SequentialDecisions) -> str:
    """What "better" rests on while failures are not excluded."""
    winner = comparison.arm if comparison.decision in SUPERIOR else comparison.other
    if decisions.failures[winner].failed:
        return f", with the failures of {shown(winner)} so far"
    return " in runs that finish"


def _in_blocks(comparison: Comparison) -> str:
    """In how many blocks the arm was better: a count, for few blocks are no probability."""
    share = comparison.share
    if share is None or comparison.difference.n < 2:
        return ""
    level = f", level in {share.ties}" if share.ties else ""
    return f", better in {share.won} of {share.n} blocks{level}"


def _size(metric: str, value: float) -> str:
    return format_difference(metric, abs(value)).lstrip("+")


def _ends(metric: str, low: float, high: float) -> str:
    return f"{format_difference(metric, low)} to {format_difference(metric, high)}"


def _unit(metric: str) -> str:
    return f"{unit(metric)} of {LABELS[metric]}" if metric != "accuracy" else unit(metric)
