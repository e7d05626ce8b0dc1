"""How what is seen depends on another factor: batch size, optimizer, learning rate, …"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from normlab.records.plan import StudyPlan
from normlab.stats.data.layout import Layout
from normlab.stats.data.metrics import LABELS
from normlab.stats.data.pairing import PairedTable, paired_table
from normlab.stats.inference.interaction import crossed, interactions, varying_factors
from normlab.stats.summary.verdict_clauses import shown as arm_name
from normlab.stats.summary.words.description import smoothness_measure
from normlab.stats.summary.words.evidence import (
    Evidence,
    Measure,
    Statement,
    Values,
    against_text,
    contrasts,
    has_text,
    level_measure,
    rows,
)
from normlab.stats.summary.words.measures import METRICS_IN_WORDS, smoothness
from normlab.text import join

Crossed = Float[np.ndarray, "arms levels blocks"]


def depends(layouts: Sequence[Layout], plan: StudyPlan) -> tuple[Statement, ...]:
    """Two statements a factor: the level, and the smoothness where it differs anywhere."""
    if len(layouts) < 2:
        return ()
    alpha = plan.analysis.alpha
    levels = {m: [paired_table(layout, m) for layout in layouts] for m in METRICS_IN_WORDS}
    rough = [
        _with_values(table, smoothness(layout, "accuracy"))
        for table, layout in zip(levels["accuracy"], layouts, strict=True)
    ]
    found: list[Statement] = []
    for factor in varying_factors([layout.setting for layout in layouts]):
        text, evidence = _levels(levels["accuracy"], factor, level_measure("accuracy", "test"),
                                 alpha)  # fmt: skip
        if not text:
            continue
        lead = _interaction_text({m: levels[m] for m in METRICS_IN_WORDS}, factor, alpha)
        full = " ".join(part for part in (lead, text, _caution(factor, plan)) if part)
        short = f"{lead} {_range(levels['accuracy'], factor)}".strip()
        found.append(Statement("dependence", full, evidence, short=short))
        measure = smoothness_measure("accuracy")
        text, evidence = _levels(rough, factor, measure, alpha)
        if any(one.contrast.shown for one in evidence):
            found.append(Statement("dependence of smoothness", text, evidence))
    return tuple(found)


def _with_values(table: PairedTable, values: Values) -> PairedTable:
    return replace(table, values=np.array([values[arm] for arm in table.arms]))


def _levels(
    tables: Sequence[PairedTable], factor: str, measure: Measure, alpha: float
) -> tuple[str, tuple[Evidence, ...]]:
    """Every level of the factor against the first one, an arm at a time."""
    values, names, arms = crossed(tables, factor)
    if not arms or values.shape[2] == 0:
        return "", ()
    order = sorted(range(len(names)), key=lambda place: _sort_key(names, place))
    parts: list[str] = []
    evidence: list[Evidence] = []
    for place, arm in enumerate(arms):
        by_level = {_level_name(factor, names[k]): values[place, k] for k in order}
        base = next(iter(by_level))
        found = contrasts(by_level, base, alpha / len(arms))
        parts.append(
            f"with {arm_name(arm)}, {base} {has_text(measure, by_level[base])}; "
            f"{against_text(measure, found)}"
        )
        evidence += rows(f"{arm}, by {factor}", measure, found)
    text = f"{parts[0]}.{''.join(f' {_capital(part)}.' for part in parts[1:])}"
    return f"{measure.name} by {factor}: {text}", tuple(evidence)


def _range(tables: Sequence[PairedTable], factor: str) -> str:
    """From the first level to the last one, in a few words."""
    values, names, arms = crossed(tables, factor)
    order = sorted(range(len(names)), key=lambda place: _sort_key(names, place))
    first, last = order[0], order[-1]
    means = 100 * values.mean(2)
    parts = [
        f"{arm_name(arm)} {means[k, first]:.1f} to {means[k, last]:.1f} %"
        for k, arm in enumerate(arms)
    ]
    ends = (_level_name(factor, names[first]), _level_name(factor, names[last]))
    return f"Test accuracy from {ends[0]} to {ends[1]}: {', '.join(parts)}."


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _level_name(factor: str, level: str) -> str:
    return f"{factor.removesuffix(' size')} {level}" if factor != "optimizer" else level


def _sort_key(names: Sequence[str], place: int) -> tuple[float, int]:
    try:
        return float(names[place]), place
    except ValueError:
        return 0.0, place


def _interaction_text(tables: dict[str, list[PairedTable]], factor: str, alpha: float) -> str:
    """Whether the differences between arms change with the factor, for every metric."""
    found = {
        metric: next((one for one in interactions(own) if one.factor == factor), None)
        for metric, own in tables.items()
    }
    tests = {metric: one for metric, one in found.items() if one is not None}
    if not tests:
        return ""
    yes = [metric for metric, one in tests.items() if one.p_value < alpha]
    no = [metric for metric in tests if metric not in yes]

    def listed(metrics: Sequence[str]) -> str:
        return join([f"{LABELS[m]} ({_p(tests[m].p_value)})" for m in metrics])

    parts = []
    if yes:
        parts.append(f"How much the arms differ depends on the {factor}: shown for {listed(yes)}")
    if no:
        start = "not shown" if yes else f"That the arms differ more at one {factor} than at "
        parts.append(f"{start} for {listed(no)}" if yes else
                     f"{start}another is not shown, for {listed(no)}")  # fmt: skip
    return "; ".join(parts) + "."


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"


def _caution(factor: str, plan: StudyPlan) -> str:
    """What else changes with the factor."""
    tuned = plan.tuning is not None and plan.tuning.learning_rate is not None
    if factor == "batch size":
        rate = "each with its own learning rate" if tuned else "at the same learning rate"
        return (
            f"All batch sizes were trained for {plan.training.epochs} epochs, {rate}: a larger "
            "batch takes fewer steps in them, and what is seen is the effect of both together."
        )
    if factor == "optimizer" and not tuned:
        return (
            "All optimizers used the same learning rates; a rate that suits one may not suit "
            "another."
        )
    return ""
