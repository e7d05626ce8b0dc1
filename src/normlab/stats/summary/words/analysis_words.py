"""All that is said of a study in words, in one object: statements by setting, and as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from normlab.stats.data.layout import Layout, arrange, first_blocks
from normlab.stats.data.metrics import LABELS, is_share
from normlab.stats.data.reading import StudyRecords
from normlab.stats.summary.analysis import Analysis
from normlab.stats.summary.ensembles import EnsembleTable
from normlab.stats.summary.layer_diagnostics import (
    MAX_LAYER_SETTINGS,
    LayerSummaries,
    read_layer_summaries,
)
from normlab.stats.summary.rate_curves import RateCurves, rate_curves
from normlab.stats.summary.words.dependence import depends
from normlab.stats.summary.words.description import base_arm, describe
from normlab.stats.summary.words.evidence import Statement
from normlab.stats.summary.words.reasons import reasons, values_by_batch
from normlab.stats.summary.words.strategies import strategies, where_nothing_was_learned
from normlab.text import count

POINT = 0.01
"""What counts as large enough for an accuracy where the plan's margin is one of the loss."""
BRIEF = 5
"""Lines for a terminal."""
HEADINGS = {"seen": "What is seen", "why": "Why it may be so", "try": "What to try"}


GUESSES = Statement(
    "chance",
    "No arm is clearly above chance level: what differs may be the noise of guessing.",
)


@dataclass(frozen=True)
class SettingWords:
    """One setting."""

    setting: str
    slug: str
    blocks: int
    seen: tuple[Statement, ...]
    why: tuple[Statement, ...]


@dataclass(frozen=True)
class AnalysisWords:
    """A study in words."""

    rule: str
    """What a sentence needs to be there, and what it is worth."""
    across: tuple[Statement, ...]
    """What depends on other factors, and why."""
    settings: tuple[SettingWords, ...]
    """Those with two arms to compare."""
    tries: tuple[Statement, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to say."""
        return not self.settings and not self.across


def analysis_words(
    analysis: Analysis,
    layouts: Sequence[Layout],
    layers: Sequence[LayerSummaries | None] = (),
    rates: Sequence[RateCurves] = (),
    ensembles: Sequence[EnsembleTable | None] = (),
    folder: str = "study",
) -> AnalysisWords:
    """The words of a study.

    Args:
        analysis: the study, judged.
        layouts: its records, in the order of `analysis.settings`.
        layers: what its layers looked like, in the same order; fewer where they were not read.
        rates: the rate curves of its tuning.
        ensembles: of every setting, if they were worked out.
        folder: the study's folder, for commands.
    """
    plan = analysis.plan
    alpha = plan.analysis.alpha
    parts = [
        first_blocks(layout, len(one.table.blocks))
        for one, layout in zip(analysis.settings, layouts, strict=True)
    ]
    by_label = {one.setting: one for one in rates}
    settings = []
    for number, (one, layout) in enumerate(zip(analysis.settings, parts, strict=True)):
        base = base_arm(layout, plan.analysis.reference)
        if base is None:
            continue
        label, slug = one.setting.label, one.setting.slug
        if one.only_guesses:
            settings.append(SettingWords(label, slug, len(layout.blocks), (GUESSES,), ()))
            continue
        inside = layers[number] if number < len(layers) else None
        margin = one.verdict.margin if is_share(plan.analysis.metric) else POINT
        why = reasons(layout, base, alpha, margin, inside, by_label.get(one.setting.label))
        seen = describe(layout, plan, one.verdict)
        settings.append(SettingWords(label, slug, len(layout.blocks), seen, why))
    if settings and all(one.only_guesses for one in analysis.settings):
        tries = where_nothing_was_learned(plan, folder)
        return AnalysisWords(_rule(alpha, analysis), (), tuple(settings), tries)
    across = (*depends(parts, plan), *values_by_batch(parts, alpha))
    said = [*across, *(word for one in settings for word in (*one.seen, *one.why))]
    margin = plan.analysis.margin if is_share(plan.analysis.metric) else POINT
    tries = strategies(parts, plan, margin, folder, said, ensembles) if said else ()
    return AnalysisWords(_rule(alpha, analysis), across, tuple(settings), tries)


def study_words(study: StudyRecords, analysis: Analysis) -> AnalysisWords:
    """The words of a study from its records; without ensembles, which are read from predictions."""
    layouts = arrange(study.plan, study.runs)
    return analysis_words(
        analysis,
        layouts,
        tuple(map(read_layer_summaries, layouts[:MAX_LAYER_SETTINGS])),
        rate_curves(study.tuning_results, study.runs),
        folder=str(study.folder),
    )


def _rule(alpha: float, analysis: Analysis) -> str:
    level = f"{100 * (1 - alpha):g} %"
    blocks = max((len(one.table.blocks) for one in analysis.settings), default=0)
    return (
        f"A difference is said to be there where its {level} interval over "
        f"{count(blocks, 'block')} (in brackets) leaves out zero; the interval holds for all "
        "comparisons of its sentence together. Nothing is corrected over the sentences, so about "
        "one in twenty may be chance: they describe, the verdict decides, and its own intervals "
        f"stand beside the test {LABELS[analysis.plan.analysis.metric]}. Reasons are what was "
        "measured beside a difference, and need not be its cause."
    )


def as_text(words: AnalysisWords) -> str:
    """The words as a file: report/analysis.txt."""
    lines = [words.rule]
    if words.across:
        lines += ["", "Across settings"]
        lines += [f"- {one.text}" for one in words.across]
    several = len(words.settings) > 1
    for setting in words.settings:
        where = f" ({setting.setting})" if several else ""
        for name, group in (("seen", setting.seen), ("why", setting.why)):
            if group:
                lines += ["", f"{HEADINGS[name]}{where}"]
                lines += [f"- {one.text}" for one in group]
    if words.tries:
        lines += ["", HEADINGS["try"]]
        for one in words.tries:
            lines += [f"- {one.text}", f"  {one.command}"]
    return "\n".join(lines) + "\n"


def brief(words: AnalysisWords) -> list[str]:
    """At most BRIEF sentences: across settings or of the one setting, then a reason, a strategy."""
    seen = [one for one in words.across if one.kind == "dependence"]
    why = [one for one in words.across if not one.kind.startswith("dependence")]
    if not seen and words.settings:
        seen = [one for one in words.settings[0].seen if one.kind != "level"]
    why += [_placed(one, setting, words) for setting in words.settings for one in setting.why]
    why = list({one.kind: one for one in reversed(why)}.values())[::-1]
    room = BRIEF - min(len(words.tries), 1)
    chosen = [*seen[: room - min(len(why), 1)], *why][:room]
    lines = [one.short or one.text for one in chosen]
    lines += [f"To try: {one.command}" for one in words.tries[:1]]
    return lines


def _placed(one: Statement, setting: SettingWords, words: AnalysisWords) -> Statement:
    """The statement with the setting that it is about, where there are several."""
    if len(words.settings) < 2:
        return one
    return replace(one, text=f"At {setting.setting}: {one.text}", short="")
