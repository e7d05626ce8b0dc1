"""The methods paragraph: what was done, in the words of a paper, from the plan alone."""

from __future__ import annotations

from normlab._version import __version__
from normlab.stats.analysis import Analysis
from normlab.stats.metrics import LABELS, format_difference, unit
from normlab.stats.wording import count, join


def methods(analysis: Analysis) -> str:
    """One paragraph to copy; every number in it is of the plan or of the records."""
    plan, rules = analysis.plan, analysis.plan.analysis
    training = plan.training
    arms = tuple(dict.fromkeys(row.arm for one in analysis.settings for row in one.rows))
    classes = f" in {len(plan.frozen.classes)} classes" if plan.frozen else ""
    margin = format_difference(rules.metric, rules.margin).removeprefix("+")
    blocks = sorted({one.verdict.blocks for one in analysis.settings})
    rested = " to ".join(dict.fromkeys((str(blocks[0]), str(blocks[-1])))) if blocks else "0"
    settings = (
        f"{len(analysis.settings)} settings of optimizer, learning rate and batch size"
        if len(analysis.settings) > 1
        else analysis.settings[0].setting.label
        if analysis.settings
        else "no setting"
    )
    sentences = [
        f"We compared {count(len(arms), 'normalization')} ({join(arms)}) in "
        f"{training.network.name} on {plan.data.source}{classes} at {plan.data.image_size} × "
        f"{plan.data.image_size} pixels, in {settings}, for {count(training.epochs, 'epoch')} "
        f"({training.schedule} schedule, weight decay {training.weight_decay:g}, "
        f"{training.augmentation} augmentation).",
        f"The study has {count(plan.blocks, 'block')}: within a block every arm had the same "
        "split of the training images, the same initial weights, and the same order of images and "
        "draws of the augmentation.",
        f"{100 * plan.data.evaluation_fraction:g} % of the images were kept for evaluation and "
        "read once a run, at the epoch that was best on a separate selection part "
        f"({100 * plan.data.selection_fraction:g} % of the rest).",
        "Runs that diverged were counted as guessing.",
        f"Differences in {LABELS[rules.metric]} were taken inside blocks (the weakest pair rests "
        f"on {rested}) and are given with paired t intervals "
        f"({100 * (1 - rules.alpha):g} %, for one comparison by itself).",
        f"Decisions are by paired t tests of no difference and two one-sided tests of a difference "
        f"within ±{margin} {unit(rules.metric)}, each corrected by Holm's method over all pairs of "
        f"a setting (α = {rules.alpha:g}); the metric, the margin and the reference "
        f"({rules.reference}) were fixed before the first run.",
        f"{analysis.done} of {count(analysis.planned, 'planned run')} have a final result. "
        f"The analysis is that of normlab {__version__}.",
    ]
    return " ".join(sentences)
