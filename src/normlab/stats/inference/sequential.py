"""Looking while it runs: at which level, and what a look decides.

New studies are judged after every block, by `normlab.stats.inference.looks.every_look`. What
follows is how studies of the first method are judged, as their plans say.

Testing at α after every block would give a false alarm in about one study of six. Looks are fixed
in the plan instead, and each has a level of its own, strict at first:

    level_k = 2·(1 − Φ(c / √(n_k / n_K)))          O'Brien–Fleming's shape, n_k blocks at look k

with c such that a single comparison without any difference is called different at one of the looks
with probability α. c comes from a simulation of t statistics at the looks of the study at hand.

A decision stands once it is made. An arm that is worse than the leader is dropped from later
blocks, and the setting is over when all pairs of the arms that are left are decided.

Source: O'Brien & Fleming 1979; Armitage, McPherson & Rowe 1969 for what peeking costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy import special

from normlab.records.plan import AnalysisPlan, StudyPlan
from normlab.records.store import RunRecord
from normlab.stats.data.layout import Layout, arrange
from normlab.stats.data.metrics import orientation
from normlab.stats.data.pairing import PairedTable, paired_table
from normlab.stats.inference.comparison import Comparison, compare_all, find
from normlab.stats.inference.looks.boundaries import every_block
from normlab.stats.inference.looks.boundaries import level as level_of_look
from normlab.stats.inference.looks.every_look import is_complete, run_every_look
from normlab.stats.inference.looks.margins import margin_of
from normlab.stats.inference.looks.state import EXPLORATORY_BELOW as EXPLORATORY_BELOW
from normlab.stats.inference.looks.state import SequentialDecisions as SequentialDecisions
from normlab.stats.inference.looks.state import SettingRules, plain_rules

_REPEATS = 200_000


def planned_looks(plan: StudyPlan) -> tuple[int, ...]:
    """The plan's looks; by default after every block from the third to the cap.

    In a study of the first method: one, after the last planned block but not before the fifth.
    """
    if plan.analysis.looks:
        return plan.analysis.looks
    planned = plan.frozen.blocks if plan.frozen is not None else 0
    if plan.analysis.method == 2:
        return every_block(max(EXPLORATORY_BELOW, planned or plan.blocks))
    return (max(EXPLORATORY_BELOW, planned or plan.blocks),)


def usual_looks(blocks: int) -> tuple[int, ...]:
    """The looks that a new study of so many blocks gets: at 40, 70 and 100 % from eight blocks on.

    >>> usual_looks(10), usual_looks(5)
    ((4, 7, 10), ())
    """
    return (round(0.4 * blocks), round(0.7 * blocks), blocks) if blocks >= 8 else ()


@lru_cache(maxsize=256)
def look_levels(looks: tuple[int, ...], alpha: float) -> tuple[float, ...]:
    """The level of each look; of one look it is α.

    Simulated with paired t. The error that is pooled over more arms has its largest statistic a
    little lower (c = 2.034 for a pair, 2.006 for seven arms at looks 4, 7, 10), so the levels hold
    for it too. The draws are fixed: the same looks have the same levels everywhere.
    """
    if len(looks) == 1:
        return (alpha,)
    shares = np.sqrt(np.array(looks) / looks[-1])
    levels = 2 * special.ndtr(-_boundary(looks, alpha) / shares)
    return tuple(float(level) for level in levels)


def decision_levels(plan: StudyPlan) -> tuple[float, ...]:
    """The level of a single comparison at each planned look."""
    looks, alpha = planned_looks(plan), plan.analysis.alpha
    if plan.analysis.method != 2:
        return look_levels(looks, alpha)
    return tuple(level_of_look(looks, n, plain_rules(plan).planned_alpha) for n in looks)


def sequential_decisions(
    table: PairedTable, plan: StudyPlan, rules: SettingRules | None = None
) -> SequentialDecisions:
    """Take every look that the runs so far allow, in order.

    `rules` are those that the records of the setting give (see `rules_of`).
    """
    looks = planned_looks(plan)
    if plan.analysis.method == 2:
        return run_every_look(table, plan, looks, rules or plain_rules(plan))
    levels = look_levels(looks, plan.analysis.alpha)
    active = list(table.arms)
    known: dict[tuple[str, str], Comparison] = {}
    dropped: dict[str, int] = {}
    passed = 0
    over = False
    for blocks, level in zip(looks, levels, strict=True):
        part = table.first(blocks).only(active)
        if over or not is_complete(part, blocks):
            break
        passed += 1
        for found in compare_all(part, plan.analysis, level):
            before = known.get((found.arm, found.other))
            if before is None or before.decision == "undecided":
                known[found.arm, found.other] = found
        if blocks == looks[-1]:
            over = True
            break
        losers = _losers(part, plan.analysis, tuple(known.values()))
        dropped |= dict.fromkeys((arm for arm in active if arm in losers), blocks)
        active = [arm for arm in active if arm not in losers]
        over = _is_over(active, known)
    return SequentialDecisions(looks, levels, passed, tuple(known.values()), dropped, over)


def sequential_layouts(
    plan: StudyPlan, runs: Sequence[RunRecord]
) -> tuple[tuple[Layout, SequentialDecisions], ...]:
    """Every setting with its decisions, and the cells marked that they made unnecessary."""
    found = []
    layouts = arrange(plan, runs)
    for layout in layouts:
        rules = rules_of(layout, plan, len(layouts))
        decisions = sequential_decisions(paired_table(layout, plan.analysis.metric), plan, rules)
        found.append((replace(layout, skipped=_skipped_cells(layout, decisions)), decisions))
    return tuple(found)


def rules_of(layout: Layout, plan: StudyPlan, settings: int) -> SettingRules:
    """The margin of a setting by its records, and its share of α."""
    rules = plain_rules(plan, settings)
    return replace(rules, margin=margin_of(layout, plan.analysis))


def _skipped_cells(layout: Layout, decisions: SequentialDecisions) -> frozenset[tuple[str, int]]:
    """Later blocks of dropped arms; those of all arms up to the last look once all is decided."""
    cells = {
        (arm, block)
        for arm, blocks in decisions.dropped.items()
        for block in layout.blocks[blocks:]
    }
    if decisions.over:
        rest = layout.blocks[decisions.blocks : decisions.looks[-1]]
        cells |= {(arm, block) for arm in layout.arms for block in rest}
    return frozenset(cells)


def _losers(
    table: PairedTable, analysis: AnalysisPlan, comparisons: tuple[Comparison, ...]
) -> set[str]:
    """The arms that are worse than the leader.

    The reference stays while some other arm that stays is undecided against it: it is what the
    reader asked to be compared with.
    """
    arms = table.measured_arms()
    if not arms:
        return set()
    sign = orientation(table.metric)
    leader = max(arms, key=lambda arm: sign * float(np.nanmean(table.row(arm))))
    losers = set()
    for arm in arms:
        against = find(comparisons, arm, leader)
        if against is not None and against.decision == "worse":
            losers.add(arm)
    if analysis.reference in losers:
        rest = [find(comparisons, arm, analysis.reference) for arm in arms if arm not in losers]
        if any(pair is not None and pair.decision == "undecided" for pair in rest):
            losers.remove(analysis.reference)
    return losers


def _is_over(active: list[str], known: Mapping[tuple[str, str], Comparison]) -> bool:
    return not any(
        comparison.decision == "undecided"
        for (arm, other), comparison in known.items()
        if arm in active and other in active
    )


def _boundary(looks: tuple[int, ...], alpha: float) -> float:
    """c: the 1 − α quantile of the largest  z_k·√(n_k/n_K)  over the looks, without any effect.

    z_k is the normal deviate with the p-value of the paired t of the first n_k blocks.
    """
    generator = np.random.default_rng(20240229)
    largest = []
    for _ in range(10):  # in parts, so that memory stays small
        differences = generator.standard_normal((_REPEATS // 10, looks[-1]))
        scaled = []
        for n in looks:
            part = differences[:, :n]
            t = np.abs(part.mean(1)) / part.std(1, ddof=1) * np.sqrt(n)
            tail = np.maximum(special.stdtr(n - 1, -t), 1e-300)
            scaled.append(-special.ndtri(tail) * np.sqrt(n / looks[-1]))
        largest.append(np.max(scaled, axis=0))
    return float(np.quantile(np.concatenate(largest), 1 - alpha))
