"""The verdict of a setting: every pair decided, the set of best arms, one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from normlab.records.plan import StudyPlan
from normlab.stats.data.pairing import PairedTable
from normlab.stats.data.setting import Setting
from normlab.stats.inference.comparison import (
    INFERIOR,
    SUPERIOR,
    Comparison,
    against,
    compare_all,
    find,
)
from normlab.stats.inference.looks.failures import FailureBound
from normlab.stats.inference.pooled import error_term
from normlab.stats.inference.sequential import EXPLORATORY_BELOW, SequentialDecisions
from normlab.stats.summary.verdict_text import verdict_sentence

Stage = Literal["planned", "interim", "extended"]
"""Judged at a planned look; between looks; with blocks that were added after the last look."""


@dataclass(frozen=True)
class SettingVerdict:
    """What can be said of one setting, and how surely."""

    setting: Setting
    metric: str
    margin: float
    alpha: float
    reference: str | None
    """The arm that the others are set against; None if the setting has no value of it."""
    arms: tuple[str, ...]
    """The arms with a value, in the order of the plan."""
    comparisons: tuple[Comparison, ...]
    """Every pair of those arms, once."""
    best: tuple[str, ...]
    """The arms to which no other arm is shown to be superior: an honest answer is often a set."""
    blocks: int
    """The smallest number of blocks that any comparison rests on."""
    stage: Stage
    decisions: SequentialDecisions
    """The looks, their levels, and the arms that were dropped."""
    level: float
    """The error rate at which this look decides; α where there is one look."""
    pooled: bool
    """Whether the error is that of all arms together."""
    error_reason: str
    """Why it is not; empty where there is nothing to say."""
    exploratory: bool
    sentence: str

    def comparison(self, arm: str, other: str) -> Comparison | None:
        """The comparison of two arms, seen from the first; None if they were not compared."""
        return find(self.comparisons, arm, other)

    def against_reference(self) -> tuple[Comparison, ...]:
        """Each other arm against the reference, in the order of the plan."""
        return against(self.comparisons, self.arms, self.reference)

    @property
    def by_second_method(self) -> bool:
        """Whether intervals belong to the decisions that stand beside them."""
        return self.decisions.rules is not None

    @property
    def failures(self) -> Mapping[str, FailureBound]:
        """Arm → its failures and the rate that they allow; empty by the first method."""
        return self.decisions.failures

    @property
    def dropped(self) -> Mapping[str, int]:
        """Arm → blocks at the look that dropped it."""
        return self.decisions.dropped


def tuned_once(plan: StudyPlan) -> bool:
    """Whether one tuning chose what all blocks use: its luck is then part of every difference."""
    return plan.tuning is not None and plan.tuning.scope == "study"


def judged_part(table: PairedTable, decisions: SequentialDecisions) -> tuple[PairedTable, Stage]:
    """The blocks that the verdict rests on, and what kind of verdict that makes it.

    At a planned look the blocks of that look, whatever has been run since. Beyond the last look all
    of them, as an extension: by e-values, or by the first method without control of errors.
    """
    begun = int((~np.isnan(table.values)).any(axis=0).sum())
    if decisions.passed == 0:
        return table, "interim"
    if decisions.passed == len(decisions.looks) and begun > decisions.looks[-1]:
        return table, "extended"
    return table.first(decisions.blocks), "planned"


def judge(table: PairedTable, plan: StudyPlan, decisions: SequentialDecisions) -> SettingVerdict:
    """Decide a setting by the analysis that was fixed before the first run.

    The table is of the metric that the plan names, with all blocks; `analysis.reference` may be
    absent from it.
    """
    analysis = plan.analysis
    table, stage = judged_part(table, decisions)
    arms = table.measured_arms()
    reference = analysis.reference if analysis.reference in arms else None
    second = decisions.rules is not None
    keeps = second or stage == "planned"
    comparisons = decisions.comparisons if keeps else compare_all(table, analysis)
    best = best_arms(arms, comparisons)
    blocks = decisions.blocks if stage == "planned" else table.smallest_common_blocks()
    if stage == "planned":
        staying = table.only([arm for arm in arms if decisions.dropped.get(arm, blocks) >= blocks])
        blocks = min(blocks, staying.smallest_common_blocks())
        error = error_term(staying)
    else:
        error = error_term(table)
    exploratory = (
        stage == "interim"
        or (stage == "extended" and not second)
        or blocks < EXPLORATORY_BELOW
        or tuned_once(plan)
    )
    return SettingVerdict(
        setting=table.setting,
        metric=table.metric,
        margin=decisions.rules.margin.value if decisions.rules is not None else analysis.margin,
        alpha=analysis.alpha,
        reference=reference,
        arms=arms,
        comparisons=comparisons,
        best=best,
        blocks=blocks,
        stage=stage,
        decisions=decisions,
        level=decisions.levels[decisions.passed - 1] if stage == "planned" else analysis.alpha,
        pooled=not second and error.spread is not None,
        error_reason="" if second else error.reason,
        exploratory=exploratory,
        sentence=verdict_sentence(table, plan, comparisons, best, blocks, stage, decisions),
    )


def best_arms(arms: Sequence[str], comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """The arms that lose no comparison, in the order given."""
    beaten = {c.arm for c in comparisons if c.decision in INFERIOR}
    beaten |= {c.other for c in comparisons if c.decision in SUPERIOR}
    return tuple(arm for arm in arms if arm not in beaten)
