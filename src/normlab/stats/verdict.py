"""The verdict of a setting: every pair decided, the set of best arms, one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from normlab.records.plan import AnalysisPlan
from normlab.stats.comparison import Comparison, against, compare_all, find
from normlab.stats.pairing import PairedTable
from normlab.stats.setting import Setting
from normlab.stats.wording import verdict_sentence

EXPLORATORY_BELOW = 5
"""Fewer blocks than this make a verdict exploratory (method.md, "Intervals and tests")."""


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
    exploratory: bool
    sentence: str

    def comparison(self, arm: str, other: str) -> Comparison | None:
        """The comparison of two arms, seen from the first; None if they were not compared."""
        return find(self.comparisons, arm, other)

    def against_reference(self) -> tuple[Comparison, ...]:
        """Each other arm against the reference, in the order of the plan."""
        return against(self.comparisons, self.arms, self.reference)


def judge(table: PairedTable, analysis: AnalysisPlan) -> SettingVerdict:
    """Decide a setting by the analysis that was fixed before the first run.

    The table is of the metric that the plan names; `analysis.reference` may be absent from it.
    """
    arms = table.measured_arms()
    reference = analysis.reference if analysis.reference in arms else None
    comparisons = compare_all(table, analysis)
    best = best_arms(arms, comparisons)
    blocks = table.smallest_common_blocks()
    exploratory = blocks < EXPLORATORY_BELOW
    return SettingVerdict(
        setting=table.setting,
        metric=table.metric,
        margin=analysis.margin,
        alpha=analysis.alpha,
        reference=reference,
        arms=arms,
        comparisons=comparisons,
        best=best,
        blocks=blocks,
        exploratory=exploratory,
        sentence=verdict_sentence(table, analysis, comparisons, best, blocks, exploratory),
    )


def best_arms(arms: Sequence[str], comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """The arms that lose no comparison, in the order given."""
    beaten = {c.arm for c in comparisons if c.decision == "worse"}
    beaten |= {c.other for c in comparisons if c.decision == "better"}
    return tuple(arm for arm in arms if arm not in beaten)
