"""The verdict of a setting in words, what it rests on, and what would change it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from normlab.stats.data.metrics import format_difference, unit
from normlab.stats.summary.analysis import SettingAnalysis
from normlab.stats.summary.recommendation import Recommendation, names, recommend
from normlab.stats.summary.verdict_text import further_blocks
from normlab.text import count

NAMED = 6
"""Arms that a line of the recommendation names; the table has all."""


@dataclass(frozen=True)
class Sentence:
    """The verdict of one setting in words."""

    setting: str
    slug: str
    recommendation: Recommendation
    text: str
    rests_on: str
    change: str

    @property
    def lines(self) -> Iterator[tuple[str, str, str]]:
        """Mark, arms and reason of the recommendation, with at most NAMED arms in a line."""
        for mark, arms, reason in self.recommendation.lines:
            yield mark, shortened(arms) if reason else arms, reason

    @property
    def cells(self) -> tuple[str, ...]:
        """Use, level, not and open, for a table of settings; what keeps it from an answer first."""
        found = self.recommendation
        if not found.use:
            return (found.warning or "–", "–", "–", "–")
        lists = (found.level, found.not_these, found.open)
        return (found.use, *(shortened(names(arms)) or "–" for arms in lists))


def shortened(arms: str) -> str:
    """A list of arms, cut after NAMED.

    >>> shortened("a, b"), shortened("a, b, c, d, e, f, g, h")
    ('a, b', 'a, b, c, d, e, f and 2 more')
    """
    names = arms.split(", ")
    if len(names) <= NAMED:
        return arms
    return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"


def sentence(setting: SettingAnalysis, study: str) -> Sentence:
    """The verdict of a setting, what it rests on, and what would change it."""
    verdict = setting.verdict
    margin = format_difference(verdict.metric, verdict.margin).removeprefix("+")
    rests_on = f"{count(verdict.blocks, 'block')}, margin ±{margin} {unit(verdict.metric)}"
    return Sentence(
        setting=setting.setting.label,
        slug=setting.setting.slug,
        recommendation=recommend(setting, study),
        text=verdict.sentence,
        rests_on=rests_on,
        change=change(setting),
    )


def change(setting: SettingAnalysis) -> str:
    """What would change the verdict of a setting, in a few words."""
    verdict = setting.verdict
    if len(verdict.arms) < 2:
        return "results of a second arm"
    if setting.only_guesses:
        return "other learning rates, longer training or larger images"
    open_ones = [c for c in verdict.against_reference() if c.decision == "undecided"]
    if open_ones and not verdict.decisions.over:
        return f"{further_blocks(open_ones)} for what is undecided"
    if any({one.arm, one.other}.isdisjoint(verdict.dropped) for one in open_ones):
        return "more blocks than were planned, for what is open"
    if verdict.blocks < 2:
        return "more blocks"
    return "other images or settings; more blocks would only narrow the intervals"
