"""The first screen of a setting: what to use, how sure that is and on what, and what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from normlab.report.charts.colours import Stroke
from normlab.report.sections.answer.differences import difference_figure
from normlab.report.sections.answer.sentence import Sentence, sentence
from normlab.report.sections.verdict.plot import DifferencePlot, difference_plot
from normlab.stats.data.metrics import LABELS, format_difference, is_share, unit
from normlab.stats.summary.analysis import SettingAnalysis
from normlab.text import count

ENDED = ("failed", "out_of_memory", "diverged")
"""How a run ends without a network that can be judged."""


@dataclass(frozen=True)
class FirstScreen:
    """What one setting shows first."""

    sentence: Sentence
    sure: str
    """How sure, and on what."""
    plots: tuple[DifferencePlot, ...]
    """Seen from the plan's reference, then from every other arm."""
    takes: str = ""
    """How long the command takes that goes on, e.g. "about 8 min"."""


def first_screen(
    setting: SettingAnalysis,
    study: str,
    references: tuple[str, ...],
    strokes: Mapping[str, Stroke],
    images: int | None,
) -> FirstScreen:
    """The first screen of a setting.

    Args:
        setting: what was concluded of it.
        study: the folder as the user would type it.
        references: arms that the plot can be seen from, the plan's first.
        strokes: of all arms.
        images: of the test part; None where no run has told.
    """
    numbers = {arm: number for number, arm in enumerate(strokes)}
    plots = []
    for reference in references:
        figure = difference_figure(setting, strokes, reference)
        if figure is not None:
            plots.append(difference_plot(figure, setting, reference, numbers, strokes))
    return FirstScreen(sentence(setting, study), how_sure(setting, images), tuple(plots))


def how_sure(setting: SettingAnalysis, images: int | None) -> str:
    """On how many trainings and images it rests, and what a decision means."""
    verdict = setting.verdict
    if not verdict.blocks:
        ended: Counter[str] = Counter()
        for row in setting.rows:
            ended.update(row.outcomes)
        bad = [f"{n} {status.replace('_', ' ')}" for status, n in ended.items() if status in ENDED]
        return f"runs that ended without a result: {', '.join(bad)} (why: Runs)." if bad else ""
    fewest = min((row.n for row in setting.rows if row.arm in verdict.arms), default=0)
    range_ = f"{fewest} to " if fewest < verdict.blocks else ""  # arms that lost are left out
    trained = f"{range_}{count(verdict.blocks, 'training')} of every arm"
    judged = f", each judged on the same {images:,} test images" if images else ""
    parts = [f"{trained}{judged}"]
    guess = setting.guessing
    if guess is not None:
        printed = f"{100 * guess:.1f} %" if is_share(verdict.metric) else f"{guess:.3f}"
        parts.append(f"by guessing {LABELS[verdict.metric]} is {printed}")
    margin = format_difference(verdict.metric, verdict.margin).removeprefix("+")
    if len(verdict.arms) > 1 and verdict.blocks > 1:
        if any(pair.decision != "undecided" for pair in verdict.comparisons):
            parts.append(
                "where a difference is shown, the probability that this is wrong anywhere is at "
                f"most {100 * verdict.alpha:g} %"
            )
        else:
            parts.append("nothing is decided so far")
        parts.append(f"level means closer than {margin} {unit(verdict.metric)}")
    return "; ".join(parts) + "."
