"""A plan in a few lines: what is run, how it is judged, what it can hope to see."""

from __future__ import annotations

from collections.abc import Iterator

from normlab.records.cells import Setting, arm_of, cells, excluded_cells
from normlab.records.plan import StudyPlan, TuningPlan
from normlab.stats.data.metrics import LABELS, format_difference, unit
from normlab.stats.inference.looks.boundaries import every_block
from normlab.stats.inference.looks.margins import least_margin
from normlab.stats.inference.power import detectable_difference
from normlab.stats.inference.sequential import (
    EXPLORATORY_BELOW,
    decision_levels,
    planned_looks,
)
from normlab.study.tuning.cost import tuning_runs
from normlab.text import count


def plan_lines(plan: StudyPlan) -> Iterator[str]:
    """The lines of a frozen plan, with a word before each."""
    rows = cells(plan)
    arms = list(dict.fromkeys(arm_of(cell, plan) for cell in rows))
    settings = len({Setting.of_cell(cell, plan) for cell in rows})
    several = f" in {count(settings, 'setting')}" if settings > 1 else ""
    between = " " if plan.analysis.compare == "norm" else ", "
    training = plan.training
    yield (
        f"plan     {between.join(arms)}{several} "
        f"× {count(plan.blocks, 'block')} = {count(len(rows) * plan.blocks, 'run')}, "
        f"{training.network} at {plan.data.image_size} px, {count(training.epochs, 'epoch')}"
    )
    if len(arms) == 1:
        yield f"one arm  {arms[0]} is compared with nothing; --norms bn,gn compares two"
    if plan.tuning is not None:
        ranges = " and ".join(
            f"{name.replace('_', ' ')} {low:g} to {high:g}"
            for name, (low, high) in plan.tuning.ranges.items()
        )
        yield (
            f"tuned    {ranges}: the same {plan.tuning.points} points for every arm, "
            f"{count(len(tuning_runs(plan)), 'short run')} in all, {_scope(plan.tuning)}"
        )
    yield f"judged   {_analysis_text(plan)}"
    for cell, reason in excluded_cells(plan):
        setting = Setting.of_cell(cell, plan)
        yield f"left out {arm_of(cell, plan)} in {setting}: {reason}"
    smallest = detectable_difference(len(arms), plan.blocks, plan.analysis.alpha)
    if smallest is not None:
        yield (
            f"can see  a difference of {smallest:.1f} standard deviations of a run (80 % power, "
            f"one comparison): {smallest:.1f} points where runs vary by 1 point"
        )
    if plan.frozen is not None:
        yield f"frozen   {plan.frozen.hash[:12]}"


def _scope(tuning: TuningPlan) -> str:
    if tuning.scope == "block":
        return "anew in every block"
    return "once, on blocks of their own (the verdict is exploratory)"


def _analysis_text(plan: StudyPlan) -> str:
    analysis = plan.analysis
    looks = planned_looks(plan)
    text = (
        f"{LABELS[analysis.metric]} on the test part against {analysis.reference}, margin "
        f"{_margin(plan)}, α {analysis.alpha:g}"
    )
    if analysis.method == 2 and looks == every_block(looks[-1]) and len(looks) > 1:
        few = f" (fewer than {EXPLORATORY_BELOW} are exploratory)"
        few = few if plan.blocks < EXPLORATORY_BELOW else ""
        last = min(plan.blocks, looks[-1])
        if last <= looks[0]:
            return f"{text}, after {count(last, 'block')}{few}"
        return f"{text}, after every block from {looks[0]} to {last}{few}"
    if len(looks) == 1:
        fewer = " (fewer are exploratory)" if plan.blocks < looks[0] else ""
        return f"{text}, after {count(looks[0], 'block')}{fewer}"
    levels = decision_levels(plan)
    each = ", ".join(f"{n} ({level:.4f})" for n, level in zip(looks, levels, strict=True))
    return f"{text}, after blocks (level) {each}"


def _margin(plan: StudyPlan) -> str:
    analysis = plan.analysis
    if analysis.margin_share is not None:
        share = f"{100 * analysis.margin_share:g} %"
        return f"{share} of {analysis.reference}'s error{least_margin(analysis.metric)}"
    margin = format_difference(analysis.metric, analysis.margin).removeprefix("+")
    return f"{margin} {unit(analysis.metric)}"
