"""What may improve the arms: what speaks for it, and a command that tries it."""

from __future__ import annotations

from collections.abc import Sequence

from normlab.records.plan import StudyPlan
from normlab.stats.checks.measures.nl001_few_values import FEWEST
from normlab.stats.data.layout import Layout
from normlab.stats.summary.ensembles import Ensemble, EnsembleTable
from normlab.stats.summary.verdict_clauses import shown as arm_name
from normlab.stats.summary.words.commands import Change, compare_command, levels
from normlab.stats.summary.words.description import own_gaps
from normlab.stats.summary.words.evidence import (
    Contrast,
    Evidence,
    Measure,
    Statement,
    rows,
)
from normlab.stats.summary.words.inside import fewest_values
from normlab.text import count, join

TUNING_POINTS = 4
BATCHES = (8, 32, 128)
NO_BATCH = ("gn", "ln")
"""Norms whose statistics do not depend on the batch."""
FEW_EPOCHS = 8
"""Below, a quarter of the epochs is one of them, and a rise in it cannot be seen."""
AVERAGES = ("bn:momentum=0.02", "bn:momentum=0.5")
"""Running statistics over more and over fewer steps than usual (0.1)."""
AUGMENTATIONS = ("none", "light", "standard")


def strategies(
    layouts: Sequence[Layout],
    plan: StudyPlan,
    margin: float,
    folder: str,
    said: Sequence[Statement],
    ensembles: Sequence[EnsembleTable | None] = (),
) -> tuple[Statement, ...]:
    """Every strategy that something speaks for; `said` are the statements so far."""
    kinds = {one.kind for one in said}
    found = [
        _tuning(plan, folder, said),
        _epochs(plan, folder, kinds),
        _batches(layouts, plan, folder, kinds),
        _averages(plan, folder, kinds),
        *_fit(layouts, plan, margin, folder, kinds),
        _ensembles(ensembles),
    ]
    return tuple(one for one in found if one is not None)


def where_nothing_was_learned(plan: StudyPlan, folder: str) -> tuple[Statement, ...]:
    """What to try where every arm only guesses: rates first, then time."""
    text = "Every arm only guesses: find out at which learning rates something is learned"
    change = Change("tuned", tune=TUNING_POINTS)
    if plan.tuning is not None:
        text = "Every arm only guesses at every rate that was tried: train longer"
        change = Change("longer", epochs=4 * plan.training.epochs)
    return (Statement("learning", f"{text}.", command=compare_command(plan, folder, change)),)


def _tuning(plan: StudyPlan, folder: str, said: Sequence[Statement]) -> Statement | None:
    """One rate for all, and arms that differ or diverge at it."""
    differ = any(
        evidence.contrast.shown for one in said if one.kind == "level" for evidence in one.evidence
    )
    diverged = any(one.kind == "divergence" for one in said)
    if plan.tuning is not None or not (differ or diverged):
        return None
    what = "some arm diverged" if diverged else "arms differ"
    change = Change("tuned", tune=TUNING_POINTS)
    return Statement(
        "tuning",
        f"All arms shared the learning rate, and {what} at it. Give every arm the same number of "
        "rates of its own, in every block: a norm that is worse at one rate may not be at its "
        "best.",
        command=compare_command(plan, folder, change),
    )


def _epochs(plan: StudyPlan, folder: str, kinds: set[str]) -> Statement | None:
    epochs = plan.training.epochs
    if "still rising" not in kinds and epochs >= FEW_EPOCHS:
        return None
    text = "Some arm was still rising at the end: twice the epochs show whether it catches up."
    if "still rising" not in kinds:
        text = (
            f"{count(epochs, 'epoch')} are too few to see whether an arm was still rising: train "
            "twice as long."
        )
    change = Change("longer", epochs=2 * epochs)
    return Statement(
        "longer training",
        text,
        command=compare_command(plan, folder, change),
    )


def _batches(
    layouts: Sequence[Layout], plan: StudyPlan, folder: str, kinds: set[str]
) -> Statement | None:
    """Batch sizes where few values or running statistics speak for it, or other norms."""
    if "values a statistic" in kinds:
        norms = [*map(str, levels(plan, "norm"))]
        more = [norm for norm in NO_BATCH if norm not in norms]
        if not more:
            return None
        change = Change("no-batch", norms=[*norms, *more])
        return Statement(
            "other norms",
            "A small batch costs an arm that takes its statistics over the batch: at such a batch "
            "try norms that take them over one image.",
            command=compare_command(plan, folder, change),
        )
    sizes = levels(plan, "batch_size")
    least = [
        found[0]
        for layout in layouts
        for arm in layout.arms
        if (found := fewest_values(layout, arm, "batch")) is not None
    ]
    few = bool(least) and min(least) < FEWEST
    if len(sizes) > 1 or not (few or "running statistics" in kinds):
        return None
    why = (
        f"Statistics over the batch rest on as few as {min(least)} values"
        if few
        else "Running statistics cost accuracy"
    )
    change = Change("batches", batch_sizes=BATCHES)
    return Statement(
        "batch size",
        f"{why}: see how that depends on the batch size.",
        command=compare_command(plan, folder, change),
    )


def _averages(plan: StudyPlan, folder: str, kinds: set[str]) -> Statement | None:
    """Other running statistics, where these cost accuracy."""
    if "running statistics" not in kinds:
        return None
    norms = [*map(str, levels(plan, "norm"))]
    if "bn" not in norms:
        return None
    change = Change("averages", norms=[*norms, *AVERAGES])
    return Statement(
        "moving averages",
        "Running statistics cost accuracy: try longer and shorter averages, or replace them after "
        "training with normlab.precise_statistics(model, batches), which trains nothing.",
        command=compare_command(plan, folder, change),
    )


def _fit(
    layouts: Sequence[Layout], plan: StudyPlan, margin: float, folder: str, kinds: set[str]
) -> list[Statement]:
    """Augmentation and decay where training is ahead; a larger network where it is not."""
    measure = Measure("Training accuracy above test accuracy", "better in training",
                      "better in test", 100.0, 1, "points")  # fmt: skip
    ahead: list[str] = []
    evidence: list[Evidence] = []
    level: list[Contrast] = []
    for layout in layouts:
        for arm, one in own_gaps(layout, "test", plan.analysis.alpha).items():
            level.append(one)
            if one.shown and one.difference >= margin:
                where = f" at {layout.setting}" if len(layouts) > 1 else ""
                ahead.append(f"{arm_name(arm)}{where} (by {measure.amount(one.difference)})")
                evidence += rows(layout.setting.label, measure, [one])
    if ahead:
        more = f" and {len(ahead) - 3} more" if len(ahead) > 3 else ""
        text = f"Training is ahead of test accuracy for {join(ahead[:3])}{more}"
        found = []
        if "augmentation" not in _varied(plan):
            change = Change("augmented", vary={"augmentation": AUGMENTATIONS})
            command = compare_command(plan, folder, change)
            words = f"{text}: try more augmentation."
            found.append(Statement("augmentation", words, tuple(evidence), command))
        if "weight_decay" not in _varied(plan):
            decay = plan.training.weight_decay or 1e-4
            change = Change("decay", vary={"weight_decay": (decay, 5 * decay)})
            command = compare_command(plan, folder, change)
            words = f"{text}: try a stronger weight decay."
            found.append(Statement("regularization", words, tuple(evidence), command))
        return found
    larger = larger_network(str(plan.training.network))
    train = [one for one in level if one.n >= 2 and not one.shown]
    if larger is None or not train or len(train) < len(level) or "still rising" in kinds:
        return []
    if plan.training.epochs < FEW_EPOCHS:  # longer training comes first
        return []
    if "network" in _varied(plan):
        return []
    change = Change("larger", vary={"network": (str(plan.training.network), larger)})
    return [
        Statement(
            "larger network",
            "No arm is shown to be better in training than in test, or to be still rising: "
            "what limits them may be the size of the network.",
            command=compare_command(plan, folder, change),
        )
    ]


def larger_network(name: str) -> str | None:
    """The next 6n+2 network; None where the network is another one.

    >>> larger_network("cifar-resnet14"), larger_network("cifar-resnet8:shortcut=B")
    ('cifar-resnet20', 'cifar-resnet14:shortcut=B')
    """
    start, _, options = name.partition(":")
    depth = start.removeprefix("cifar-resnet")
    if not start.startswith("cifar-resnet") or not depth.isdigit():
        return None
    return f"cifar-resnet{int(depth) + 6}" + (f":{options}" if options else "")


def _varied(plan: StudyPlan) -> set[str]:
    return {key for one in plan.factors for key in one.training}


def _ensembles(found: Sequence[EnsembleTable | None]) -> Statement | None:
    """The best ensemble of one arm, where it is better than a network of any arm.

    One over several arms gains over the mean of its members, which may be networks that guess.
    """
    gains = [
        (one.gain.mean, one, table)
        for table in found
        if table is not None
        for one in table.ensembles
        if one.kind == "blocks" and _is_above_all(one, table)
        and one.gain is not None and one.gain.mean is not None
        and one.gain.interval is not None and one.gain.interval.low > 0
    ]  # fmt: skip
    if not gains:
        return None
    mean, best, table = max(gains, key=lambda entry: entry[0])
    assert best.gain is not None
    assert best.gain.interval is not None
    low, high = best.gain.interval.low, best.gain.interval.high
    return Statement(
        "ensembles",
        f"Averaging the {best.members} networks of the blocks of {best.name} gains "
        f"{100 * mean:.1f} points over one of them ({100 * low:.1f} to {100 * high:.1f} over "
        f"images; {table.setting}), at as many "
        "times the cost of a prediction. The page's section on ensembles has all of them.",
    )


def _is_above_all(one: Ensemble, table: EnsembleTable) -> bool:
    """Whether an ensemble is more accurate than the mean network of every arm."""
    own = one.ensemble["accuracy"].mean
    singles = [other.member["accuracy"].mean for other in table.ensembles]
    return own is not None and all(single is None or own > single for single in singles)
