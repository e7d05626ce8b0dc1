"""The verdict of a setting in words, what it rests on, and what would change it."""

from __future__ import annotations

from dataclasses import dataclass

from normlab.stats.data.metrics import format_difference, unit
from normlab.stats.summary.analysis import SettingAnalysis
from normlab.stats.summary.recommendation import Recommendation, recommend
from normlab.stats.summary.verdict_text import further_blocks
from normlab.text import count


@dataclass(frozen=True)
class Sentence:
    """The verdict of one setting in words."""

    setting: str
    slug: str
    recommendation: Recommendation
    text: str
    rests_on: str
    change: str


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
    open_ones = [c for c in verdict.against_reference() if c.decision == "undecided"]
    if open_ones:
        return f"{further_blocks(open_ones)} for what is undecided"
    if verdict.blocks < 2:
        return "more blocks"
    return "other images or settings; more blocks would only narrow the intervals"
