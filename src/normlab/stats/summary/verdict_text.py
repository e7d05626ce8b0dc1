"""The verdict of a setting in one sentence that claims no more than the numbers do."""

from __future__ import annotations

from collections.abc import Sequence

from normlab.records.plan import AnalysisPlan, StudyPlan
from normlab.stats.data.metrics import LABELS, format_difference, unit
from normlab.stats.data.pairing import PairedTable
from normlab.stats.data.setting import Setting
from normlab.stats.inference.comparison import Comparison, Decision, against
from normlab.stats.inference.power import BLOCKS_CAP
from normlab.stats.inference.sequential import EXPLORATORY_BELOW, SequentialDecisions
from normlab.stats.summary.verdict_clauses import (
    arm_clause,
    basis,
    best_clause,
    course_clauses,
    failure_clauses,
    range_of_blocks,
    shown,
)
from normlab.text import count, join


def verdict_sentence(
    table: PairedTable,
    plan: StudyPlan,
    comparisons: Sequence[Comparison],
    best: Sequence[str],
    blocks: int,
    stage: str,
    decisions: SequentialDecisions,
) -> str:
    """One sentence; every number in it stands in the table of the setting too."""
    analysis = plan.analysis
    arms = table.measured_arms()
    if not arms:
        return "No run has finished here yet, so nothing can be said."
    if len(arms) == 1:
        return f"Only {shown(arms[0])} has results here, so there is nothing to compare it with."
    if blocks < 2:
        return (
            f"{count(blocks, 'common block').capitalize()} cannot tell a difference between arms "
            "from luck, so nothing is decided; the study needs more blocks."
        )
    reference = analysis.reference if analysis.reference in arms else None
    if decisions.rules is not None:
        return _second_method(table, plan, comparisons, best, blocks, stage, decisions)
    start = f"{_basis(blocks, stage, decisions)}{_rates(plan, table.setting)}: "
    clauses = _against_reference(table.metric, analysis, against(comparisons, arms, reference))
    if reference is None:
        clauses.append(f"the reference {analysis.reference} has no result here")
    clauses.append(_best_clause(arms, best))
    clauses.extend(_looks_clauses(stage, decisions))
    clauses.extend(_divergence_clause(table))
    return start + "; ".join(clauses) + "."


def _second_method(
    table: PairedTable,
    plan: StudyPlan,
    comparisons: Sequence[Comparison],
    best: Sequence[str],
    blocks: int,
    stage: str,
    decisions: SequentialDecisions,
) -> str:
    """One clause an arm, the best, what will not be run, and what may fail."""
    arms, reference = table.measured_arms(), plan.analysis.reference
    rates = _rates(plan, table.setting)
    if reference in arms:
        against_it = against(comparisons, arms, reference)
        clauses = [arm_clause(pair, table.metric, decisions) for pair in against_it]
    else:
        clauses = [f"the reference {shown(reference)} has no result here"]
    clauses.append(best_clause(arms, best, comparisons))
    clauses.extend(course_clauses(stage, decisions))
    clauses.extend(failure_clauses(decisions))
    return f"{basis(blocks, stage, decisions)}{rates}: {'; '.join(clauses)}."


def _basis(blocks: int, stage: str, decisions: SequentialDecisions) -> str:
    """How many blocks, and whether that is enough to be more than a first impression."""
    if stage == "extended":
        return (
            f"Exploratory, from {count(blocks, 'block')} ({decisions.looks[-1]} were planned, the "
            "others were added after looking)"
        )
    if blocks < EXPLORATORY_BELOW:
        return f"Exploratory, from {count(blocks, 'block')}"
    if stage == "interim":
        planned = decisions.looks[0]
        return f"Not judged yet (first look at {planned} complete blocks), from {blocks} so far"
    return f"From {count(blocks, 'block')}"


def _rates(plan: StudyPlan, setting: Setting) -> str:
    """With which learning rate: one for all measures tolerance to that rate too."""
    if setting.learning_rate is not None:
        return f" at learning rate {setting.learning_rate:g}"
    if plan.tuning is None:
        return ""
    if plan.tuning.scope == "study":
        return ", at the rates found in one tuning"
    return ", each arm tuned anew in every block"


def _looks_clauses(stage: str, decisions: SequentialDecisions) -> list[str]:
    clauses = [
        f"{arm} was dropped after {count(blocks, 'block')}"
        for arm, blocks in decisions.dropped.items()
    ]
    if stage != "planned" or len(decisions.looks) == 1:
        return clauses
    if decisions.over and decisions.blocks < decisions.looks[-1]:
        last = decisions.looks[-1]
        clauses.append(f"the comparison ended at {decisions.blocks} of {last} blocks")
    else:
        clauses.append(f"this is look {decisions.passed} of {len(decisions.looks)}")
    return clauses


def _against_reference(
    metric: str, analysis: AnalysisPlan, comparisons: Sequence[Comparison]
) -> list[str]:
    """A clause for each decision that occurs, e.g. "bin is better than bn (+0.9 points)"."""
    clauses = []
    for decision in ("better", "practically equal", "worse", "undecided"):
        group = [c for c in comparisons if c.decision == decision]
        if group:
            clauses.append(_clause(decision, group, metric, analysis))
    return clauses


def _clause(
    decision: Decision, group: Sequence[Comparison], metric: str, analysis: AnalysisPlan
) -> str:
    names = join([comparison.arm for comparison in group])
    verb = "is" if len(group) == 1 else "are"
    reference = group[0].other
    if decision == "undecided":
        return f"{names} {verb} undecided against {reference} ({further_blocks(group)})"
    if decision == "practically equal":
        margin = format_difference(metric, analysis.margin).removeprefix("+")
        return f"{names} {verb} practically equal to {reference} (within ±{margin} {unit(metric)})"
    differences = [c.difference.mean for c in group if c.difference.mean is not None]
    numbers = join([format_difference(metric, value) for value in differences])
    label = f"{LABELS[metric]}, " if metric == "loss" else ""
    return f"{names} {verb} {decision} than {reference} ({label}{numbers} {unit(metric)})"


def _best_clause(arms: Sequence[str], best: Sequence[str]) -> str:
    if len(best) == 1:
        return f"the best arm is {best[0]}"
    if len(best) == len(arms):
        return "which of them is best is open"
    return f"the best arm is among {join(best)}"


def _divergence_clause(table: PairedTable) -> list[str]:
    blocks = len(table.blocks)
    diverged = [(arm, table.count(arm, "diverged")) for arm in table.arms]
    parts = [f"{arm} in {n} of {count(blocks, 'block')}" for arm, n in diverged if n]
    return [f"diverged, and counted as guessing: {join(parts)}"] if parts else []


def further_blocks(comparisons: Sequence[Comparison]) -> str:
    """How many more blocks would decide these, e.g. "about 4 to 12 more blocks"."""
    ranges = [c.forecast for c in comparisons if c.forecast is not None]
    if ranges:
        return range_of_blocks(max(ranges, key=lambda one: one.high or BLOCKS_CAP))
    known = [c.further_blocks for c in comparisons if c.further_blocks is not None]
    if not known:
        return "there are too few blocks yet to say how many more"
    low, high = min(known), max(known)
    if low > BLOCKS_CAP:
        return f"more than {BLOCKS_CAP} more blocks"
    if high > BLOCKS_CAP:
        return f"about {low} to more than {BLOCKS_CAP} more blocks"
    if low < high:
        return f"about {low} to {high} more blocks"
    return f"about {count(low, 'more block')}"
