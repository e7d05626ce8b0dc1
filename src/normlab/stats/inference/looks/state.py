"""How far a setting has come through its looks, and by which rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from normlab.records.plan import StudyPlan
from normlab.stats.data.metrics import chance_level, is_share
from normlab.stats.inference.comparison import Comparison
from normlab.stats.inference.looks.failures import FailureBound
from normlab.stats.inference.looks.margins import Margin

EXPLORATORY_BELOW = 5
"""Fewer blocks than this make a verdict exploratory (method.md, "Intervals and tests")."""
WITHIN_PLAN = 0.9
"""The share of α for all looks of the plan; the rest is kept for blocks added beyond it."""


@dataclass(frozen=True)
class SettingRules:
    """What the decisions of one setting need to know beside its values and the plan."""

    margin: Margin
    chance: float
    """What a failed run scores."""
    alpha: float
    """Of the setting: that of the plan over the number of settings."""

    @property
    def planned_alpha(self) -> float:
        """For all looks of the plan together."""
        return WITHIN_PLAN * self.alpha

    @property
    def added_alpha(self) -> float:
        """For all blocks that are added beyond the plan."""
        return (1 - WITHIN_PLAN) * self.alpha


def plain_rules(plan: StudyPlan, settings: int = 1) -> SettingRules:
    """The rules of a table that no records stand behind: the plan's margin as it is."""
    metric = plan.analysis.metric
    classes = len(plan.frozen.classes) if plan.frozen is not None else 0
    chance = chance_level(metric, max(classes, 2))
    if not classes and is_share(metric):
        chance = 0.0
    margin = Margin(plan.analysis.margin, None, True)
    return SettingRules(margin, chance, plan.analysis.alpha / settings)


@dataclass(frozen=True)
class SequentialDecisions:
    """How far a setting has come through its looks."""

    looks: tuple[int, ...]
    levels: tuple[float, ...]
    passed: int
    """Looks that have been taken."""
    comparisons: tuple[Comparison, ...]
    """The decisions so far; those of the last look, where not decided before."""
    dropped: Mapping[str, int]
    """Arm → blocks at the look that dropped it."""
    over: bool
    """Nothing is left to decide, or the last look has been taken."""
    rules: SettingRules | None = None
    """None in a study of the first method."""
    failures: Mapping[str, FailureBound] = field(default_factory=dict)
    """Arm → its failures so far and the rate that they allow."""

    @property
    def blocks(self) -> int:
        """Blocks on which the decisions rest."""
        return self.looks[self.passed - 1] if self.passed else 0
