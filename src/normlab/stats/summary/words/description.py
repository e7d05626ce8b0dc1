"""What is seen in one setting: level, smoothness, speed, gap, for accuracy, loss and macro F1."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from normlab.records.plan import StudyPlan
from normlab.stats.data.layout import Layout
from normlab.stats.data.metrics import LABELS, format_value, is_share
from normlab.stats.data.pairing import Part
from normlab.stats.inference.verdict import SettingVerdict
from normlab.stats.summary.verdict_clauses import shown as arm_name
from normlab.stats.summary.words.evidence import (
    Contrast,
    Evidence,
    Measure,
    Statement,
    blocks_text,
    compared,
    comparison_text,
    contrast,
    contrast_text,
    contrasts,
    decided,
    has_text,
    level_measure,
    rows,
)
from normlab.stats.summary.words.measures import (
    METRICS_IN_WORDS,
    gap,
    last_epoch,
    level,
    level_of_finished,
    smoothness,
    speed,
)
from normlab.text import count, join


def base_arm(layout: Layout, reference: str) -> str | None:
    """The reference, or the first arm that has a value; None below two arms with one."""
    values = level(layout, "accuracy")
    there = [arm for arm in layout.arms if not np.isnan(values[arm]).all()]
    if len(there) < 2:
        return None
    return reference if reference in there else there[0]


def describe(layout: Layout, plan: StudyPlan, verdict: SettingVerdict) -> tuple[Statement, ...]:
    """The four statements, as far as there is something to compare.

    On the metric that decides the level is that of the verdict, whose intervals know more than
    those of one sentence.
    """
    base = base_arm(layout, plan.analysis.reference)
    if base is None:
        return ()
    alpha = plan.analysis.alpha
    found = [
        _by_metric("level", layout, base, alpha, partial(_level, verdict=verdict)),
        _by_metric("smoothness", layout, base, alpha, _smoothness),
        _by_metric("speed", layout, base, alpha, _speed),
        _gaps(layout, base, alpha),
    ]
    return tuple(one for one in found if one is not None)


def _by_metric(
    kind: str,
    layout: Layout,
    base: str,
    alpha: float,
    of: Callable[[Layout, str, str, float], tuple[str, tuple[Evidence, ...]]],
) -> Statement | None:
    """One sentence a metric; the one on accuracy is what a terminal prints."""
    texts: list[str] = []
    evidence: tuple[Evidence, ...] = ()
    for metric in METRICS_IN_WORDS:
        text, found = of(layout, metric, base, alpha)
        if text:
            texts.append(text)
            evidence += found
    return Statement(kind, " ".join(texts), evidence, short=texts[0]) if texts else None


def _level(
    layout: Layout, metric: str, base: str, alpha: float, verdict: SettingVerdict
) -> tuple[str, tuple[Evidence, ...]]:
    measure, values = level_measure(metric, "test"), level(layout, metric)
    is_decisive = metric == verdict.metric and base == verdict.reference
    found = decided(values, verdict) if is_decisive else contrasts(values, base, alpha)
    return contrast_text(measure, values, found), rows(layout.setting.label, measure, found)


def smoothness_measure(metric: str) -> Measure:
    """How the noise of a validation curve is said."""
    share = is_share(metric)
    return Measure(
        f"Noise of the validation {LABELS[metric]} from epoch to epoch",
        "rougher",
        "smoother",
        100.0 if share else 1.0,
        1 if share else 3,
        "points" if share else "",
        "has {} points" if share else "has {}",
    )


def _smoothness(
    layout: Layout, metric: str, base: str, alpha: float
) -> tuple[str, tuple[Evidence, ...]]:
    measure, values = smoothness_measure(metric), smoothness(layout, metric)
    text = comparison_text(measure, values, base, alpha)
    return text, rows(layout.setting.label, measure, contrasts(values, base, alpha))


def _speed(
    layout: Layout, metric: str, base: str, alpha: float
) -> tuple[str, tuple[Evidence, ...]]:
    target, values = speed(layout, metric)
    if target is None:
        return "", ()
    unit = " %" if is_share(metric) else ""
    reached = f"{format_value(metric, target)}{unit}"
    name = f"First epoch with a validation {LABELS[metric]} of {reached}"
    measure = Measure(name, "later", "earlier", unit="epochs", has="gets there at epoch {}")
    last = last_epoch(layout)
    there = {arm: row for arm, row in values.items() if (row <= last).any()}
    text = comparison_text(measure, there, base, alpha)
    if len(there) == 1:
        text = f"{name}: {arm_name(next(iter(there)))} " + (
            f"{has_text(measure, next(iter(there.values())))}."
        )
    never = [a for a, row in values.items() if a not in there and not np.isnan(row).all()]
    if never:
        text = text or f"{name}:"
        names = join([arm_name(arm) for arm in never])
        text += f" {names} never {'gets' if len(never) == 1 else 'get'} there."
    missed = [
        f"{arm_name(arm)} {blocks_text(int((row <= last).sum()), int((~np.isnan(row)).sum()))}"
        for arm, row in there.items()
        if (row > last).any()
    ]
    if missed and metric == "accuracy":
        text += (
            f" Got there: {join(missed)}; a block that did not counts as epoch {last + 1}, the "
            "earliest that it can have needed."
        )
    return text.strip(), rows(layout.setting.label, measure, contrasts(values, base, alpha))


def gap_measure(metric: str, part: str) -> Measure:
    """How the distance between training and another part is said."""
    share = is_share(metric)
    return Measure(
        f"Gap of the {LABELS[metric]} between training and {part}",
        "wider",
        "narrower",
        100.0 if share else 1.0,
        1 if share else 3,
        "points" if share else "",
        "has {} points" if share else "has {}",
    )


def own_gaps(layout: Layout, part: Part, alpha: float) -> dict[str, Contrast]:
    """Of every arm: the accuracy in training against the other part's, together at 1 − α."""
    train, other = (level_of_finished(layout, "accuracy", one) for one in ("train", part))
    there = [arm for arm in layout.arms if not np.isnan(train[arm] - other[arm]).all()]
    found = {}
    for arm in there:
        names = (f"{arm}, training", f"{arm}, {part}")
        one = contrast(train[arm], other[arm], names, alpha / len(there))
        if one is not None:
            found[arm] = one
    return found


def _gaps(layout: Layout, base: str, alpha: float) -> Statement | None:
    """How far training is ahead of test and validation, then whether arms differ in that."""
    texts: list[str] = []
    evidence: list[Evidence] = []
    parts: tuple[Part, Part] = ("test", "validation")
    for part in parts:
        own = own_gaps(layout, part, alpha)
        evidence += rows(layout.setting.label, _ahead(part), tuple(own.values()))
        texts.append(_own_gap_text(own, part))
    for metric in METRICS_IN_WORDS:
        measure, values = gap_measure(metric, "test"), gap(layout, metric)
        text = comparison_text(measure, values, base, alpha)
        found = contrasts(values, base, alpha)
        evidence += rows(layout.setting.label, measure, found)
        if text and any(one.shown for one in found):
            texts.append(text)
    texts = [text for text in texts if text]
    return Statement("gap", " ".join(texts), tuple(evidence), short=texts[0]) if texts else None


def _ahead(part: str) -> Measure:
    return Measure(f"Training accuracy above {part} accuracy", "better in training",
                   f"better in {part}", 100.0, 1, "points")  # fmt: skip


def _own_gap_text(own: dict[str, Contrast], part: str) -> str:
    measure = _ahead(part)
    more = [a for a, one in own.items() if one.shown and one.difference > 0]
    less = [a for a, one in own.items() if one.shown and one.difference < 0]
    rest = [arm for arm in own if arm not in more and arm not in less]
    parts = [f"{arm_name(arm)} is {compared(measure, own[arm])}" for arm in (*more, *less)]
    if rest:
        names = join([arm_name(arm) for arm in rest])
        parts.append(f"no gap is shown for {names} ({_means(measure, own, rest)})")
    return f"Training against {part} accuracy: {'; '.join(parts)}." if parts else ""


def _means(measure: Measure, own: dict[str, Contrast], arms: list[str]) -> str:
    several = len(arms) > 1
    parts = [
        f"{arm_name(arm) + ' ' if several else ''}{measure.amount(own[arm].difference)} "
        f"{measure.more if own[arm].difference > 0 else measure.less}"
        for arm in arms
    ]
    blocks = min(own[arm].n for arm in arms)
    return f"{', '.join(parts)}; {count(blocks, 'block')}"
