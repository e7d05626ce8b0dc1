"""Why an arm may be where it is: each reason tied to what was measured, and absent without it.

A reason needs a difference that its interval shows, and one that is large enough to matter: at
least the plan's margin for accuracies, else FADED and DEAD below, beyond which the *near* end of
the interval must lie. These two were set beforehand as round numbers, on no set of data. What was
measured beside an effect need not be its cause: the words say "may".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from normlab.stats.checks.measures.nl001_few_values import FEWEST
from normlab.stats.data.layout import Layout
from normlab.stats.data.pairing import paired_table
from normlab.stats.inference.interaction import crossed
from normlab.stats.inference.intervals import Interval
from normlab.stats.summary.layer_diagnostics import LayerSummaries
from normlab.stats.summary.rate_curves import LOSS, RateCurve, RateCurves
from normlab.stats.summary.verdict_clauses import shown as arm_name
from normlab.stats.summary.words.evidence import (
    Contrast,
    Evidence,
    Measure,
    Statement,
    Values,
    compared,
    contrast,
    contrasts,
    level_measure,
    rows,
)
from normlab.stats.summary.words.inside import (
    dead_share,
    fewest_values,
    gradient_ratio,
    mean_gate,
)
from normlab.stats.summary.words.measures import batch_statistics, level, rise
from normlab.text import count

FADED = math.log10(3)
"""Decades between the gradients at both ends of the network, of one arm against another."""
DEAD = 0.05
"""Share of the channels."""
POINTS = Measure("", scale=100.0, unit="points")
GRADIENT = Measure("Gradient of the first layer over the last, decades", "stronger", "weaker",
                   digits=2, unit="decades")  # fmt: skip
CHANNELS = Measure("Dead channels", "more", "fewer", 100.0, 1, "points", "has {} %")


def reasons(
    layout: Layout,
    base: str,
    alpha: float,
    margin: float,
    layers: LayerSummaries | None = None,
    rates: RateCurves | None = None,
) -> tuple[Statement, ...]:
    """Every reason of one setting that has its evidence."""
    found = [
        *divergences(layout),
        *running_statistics(layout, alpha, margin),
        *few_values(layout, base, alpha),
        *still_rising(layout, alpha, margin),
    ]
    if rates is not None:
        found += rate_ranges(rates, base, layout.setting.label)
    if layers is not None:
        found += [*gradients(layout, layers, base, alpha), *dead_units(layout, layers, base, alpha),
                  *gates(layout, layers, alpha)]  # fmt: skip
    return tuple(found)


def divergences(layout: Layout) -> list[Statement]:
    """Arms of which some run diverged."""
    found = []
    for arm in layout.arms:
        status = [layout.status(arm, block) for block in layout.blocks]
        diverged, ended = status.count("diverged"), len(status) - status.count("missing")
        if diverged:
            text = (
                f"{arm_name(arm)} diverged in {diverged} of {count(ended, 'block')} and counts as "
                "guessing there: where it is low, it failed to train, which is another thing than "
                "fitting worse."
            )
            found.append(Statement("divergence", text))
    return found


def running_statistics(layout: Layout, alpha: float, margin: float) -> list[Statement]:
    """Arms that do better with the statistics of the batches than with their running ones."""
    batches, running = batch_statistics(layout)
    arms = [arm for arm in layout.arms if not np.isnan(batches[arm]).all()]
    measure = Measure("Validation accuracy by statistics of the batches", scale=100.0,
                      unit="points")  # fmt: skip
    found = []
    for arm in arms:
        names = (f"{arm}, statistics of the batches", f"{arm}, running statistics")
        one = contrast(batches[arm], running[arm], names, alpha / len(arms))
        if one is not None and one.shown and one.difference >= margin:
            text = (
                f"{arm_name(arm)} loses accuracy through its running statistics: with the "
                "statistics of the validation batches the same networks are "
                f"{compared(measure, one)}. The moving averages that evaluation uses are not those "
                "of the final weights."
            )
            found.append(Statement("running statistics", text,
                                   rows(layout.setting.label, measure, [one])))  # fmt: skip
    return found


def few_values(layout: Layout, base: str, alpha: float) -> list[Statement]:
    """Arms that are lower, and whose statistics rest on fewer values than check NL001 asks for."""
    measure = level_measure("accuracy", "test")
    found = []
    for worse, better, one in _unequal(layout, base, alpha):
        own, other = fewest_values(layout, worse), fewest_values(layout, better)
        if own is None or own[0] >= FEWEST or (other is not None and other[0] < FEWEST):
            continue
        than = "takes none" if other is None else f"has at least {other[0]}"
        text = (
            f"{arm_name(worse)} is lower than {arm_name(better)}, and its statistics rest on "
            f"{own[0]} values in {own[1]}, where {arm_name(better)} {than}: so few may be mostly "
            "noise."
        )
        found.append(Statement("few values", text, rows(layout.setting.label, measure, [one])))
    return found


def still_rising(layout: Layout, alpha: float, margin: float) -> list[Statement]:
    """Arms whose validation accuracy still went up at the end."""
    last, before = rise(layout)
    arms = [arm for arm in layout.arms if not np.isnan(last[arm]).all()]
    measure = Measure("Validation accuracy in the last quarter of the epochs", scale=100.0,
                      unit="points")  # fmt: skip
    found = []
    for arm in arms:
        names = (f"{arm}, last epoch", f"{arm}, three quarters")
        one = contrast(last[arm], before[arm], names, alpha / len(arms))
        if one is not None and one.shown and one.difference >= margin:
            text = (
                f"{arm_name(arm)} was still rising at the end: in the last quarter of the epochs "
                f"its validation accuracy became {compared(measure, one)}. What is compared is "
                "then partly how fast it learns."
            )
            found.append(
                Statement("still rising", text, rows(layout.setting.label, measure, [one]))
            )
    return found


def rate_ranges(rates: RateCurves, base: str, setting: str) -> list[Statement]:
    """Arms that fall off at a rate which another one bears, by the whole of their band."""
    by_arm = {curve.arm: curve for curve in rates.curves}
    if base not in by_arm:
        return []
    measure = Measure(f"Validation {rates.metric.replace('_', ' ')} at a rate", scale=100.0,
                      unit="points")  # fmt: skip
    found = []
    for arm, curve in by_arm.items():
        for narrow, wide in ((curve, by_arm[base]), (by_arm[base], curve)) if arm != base else ():
            one = _falls_off(narrow, wide, rates.blocks)
            if one is None:
                continue
            rate = one.arm.rpartition(" at ")[2]
            text = (
                f"{arm_name(narrow.arm)} bears fewer learning rates than {arm_name(wide.arm)}: at "
                f"{rate} it is {compared(measure, one)} than at its best, where "
                f"{arm_name(wide.arm)} is within {100 * LOSS:.0f} points of its own best."
            )
            found.append(Statement("learning rates", text, (Evidence(setting, measure, one),)))
    return found


def _falls_off(narrow: RateCurve, wide: RateCurve, blocks: int) -> Contrast | None:
    """The rate at which one is furthest below its best, by its band, while the other is not."""
    if not wide.learned:  # what learns at no rate bears none
        return None
    low, high = wide.bearable
    inside = (narrow.rates >= low * 0.999) & (narrow.rates <= high * 1.001)
    best = float(narrow.mean.max())
    lost = inside & (np.nan_to_num(narrow.high, nan=np.inf) < best - LOSS)
    if not lost.any():
        return None
    place = int(np.flatnonzero(lost)[narrow.mean[lost].argmin()])
    at = float(narrow.mean[place])
    ends = Interval(float(narrow.low[place]) - best, float(narrow.high[place]) - best, 0.95)
    name = f"{narrow.arm} at {narrow.rates[place]:.2g}"
    return Contrast(name, f"{narrow.arm} at its best", at, best, at - best, ends, blocks, True)


def gradients(layout: Layout, layers: LayerSummaries, base: str, alpha: float) -> list[Statement]:
    """Arms that are lower and whose gradient fades towards the first layer."""
    values, found = gradient_ratio(layout, layers), []
    for worse, better, one in _with_more(layout, values, base, alpha, sign=-1):
        if one.nearest < FADED:
            continue
        factor = 10 ** abs(one.difference)
        text = (
            f"In {arm_name(worse)} the gradient fades towards the first layer: there it is "
            f"{10**one.value:.2g} times that of the last layer, in {arm_name(better)} "
            f"{10**one.other_value:.2g} times, a factor of {factor:.2g} apart. The first layers of "
            f"{arm_name(worse)} may learn too slowly."
        )
        found.append(Statement("gradients", text, rows(layout.setting.label, GRADIENT, [one])))
    return found


def dead_units(layout: Layout, layers: LayerSummaries, base: str, alpha: float) -> list[Statement]:
    """Arms that are lower and have more channels that are 0 everywhere."""
    values, found = dead_share(layout, layers), []
    for worse, better, one in _with_more(layout, values, base, alpha, sign=1):
        if one.nearest < DEAD:
            continue
        text = (
            f"{arm_name(worse)} has more dead channels: {100 * one.value:.0f} % are 0 for every "
            f"image of the validation part, in {arm_name(better)} {100 * one.other_value:.0f} %. "
            "It may use less of its width."
        )
        found.append(Statement("dead channels", text, rows(layout.setting.label, CHANNELS, [one])))
    return found


def gates(layout: Layout, layers: LayerSummaries, alpha: float) -> list[Statement]:
    """On which side the gates of batch-instance normalization stand."""
    values, found = mean_gate(layout, layers), []
    arms = [arm for arm in layout.arms if not np.isnan(values[arm]).all()]
    measure = Measure("Mean gate", digits=2)
    for arm in arms:
        half = np.full_like(values[arm], 0.5)
        one = contrast(values[arm], half, (arm, "half"), alpha / len(arms))
        if one is None or not one.shown or one.interval is None:
            continue
        low, high = 0.5 + one.interval.low, 0.5 + one.interval.high
        mostly = "batch" if one.difference > 0 else "instance"
        text = (
            f"The gates of {arm} stand at {one.value:.2f} on average ({low:.2f} to {high:.2f}; 1 "
            f"is batch normalization, 0 instance normalization): it works mostly as {mostly} "
            "normalization."
        )
        found.append(Statement("gates", text, rows(layout.setting.label, measure, [one])))
    return found


def values_by_batch(layouts: Sequence[Layout], alpha: float) -> list[Statement]:
    """Arms with statistics over the batch that lose by a small batch what others do not lose.

    The arm must be lower at its smallest batch than at its largest, and must lose more on the way
    than an arm without such statistics.
    """
    tables = [paired_table(layout, "accuracy") for layout in layouts]
    if any(table.setting.batch_size is None for table in tables):
        return []
    values, names, arms = crossed(tables, "batch size")
    sizes = sorted(names, key=int)
    if len(sizes) < 2 or not arms or values.shape[2] < 2:
        return []
    small, large = (values[:, names.index(size)] for size in (sizes[0], sizes[-1]))
    change = {arm: small[k] - large[k] for k, arm in enumerate(arms)}
    least = {arm: _values_at(layouts, arm, (sizes[0], sizes[-1])) for arm in arms}
    batch = [arm for arm in arms if least[arm] is not None]
    rest = [arm for arm in arms if least[arm] is None]
    measure = Measure(f"Test accuracy, batch {sizes[0]} − batch {sizes[-1]}", scale=100.0,
                      unit="points")  # fmt: skip
    found = []
    for arm in batch:
        own = contrast(change[arm], np.zeros_like(change[arm]), (arm, "no change"), alpha)
        against = [
            contrast(change[arm], change[other], (arm, other), alpha / len(rest)) for other in rest
        ]
        if own is None or not own.shown or own.difference > 0:
            continue
        for one in against:
            if one is not None and one.shown and one.difference < 0:
                few, many = least[arm] or (0, 0)
                text = (
                    f"A small batch costs {arm}: from batch {sizes[-1]} to {sizes[0]} it loses "
                    f"{measure.amount(own.difference)}, {measure.amount(one.difference)} more than "
                    f"{arm_name(one.other)}, whose statistics do not depend on the batch. Those of "
                    f"{arm} rest on as few as {few} values at batch {sizes[0]}, {many} at batch "
                    f"{sizes[-1]}."
                )
                evidence = rows("by batch size", measure, [own, one])
                found.append(Statement("values a statistic", text, evidence))
    return found


def _values_at(
    layouts: Sequence[Layout], arm: str, sizes: tuple[str, str]
) -> tuple[int, int] | None:
    """The fewest values of a statistic over the batch at two batch sizes."""
    found = []
    for size in sizes:
        own = [
            least
            for layout in layouts
            if str(layout.setting.batch_size) == size
            and (least := fewest_values(layout, arm, "batch")) is not None
        ]
        if not own:
            return None
        found.append(min(values for values, _ in own))
    return found[0], found[1]


def _unequal(layout: Layout, base: str, alpha: float) -> list[tuple[str, str, Contrast]]:
    """The lower and the higher arm of every comparison of the level that is shown."""
    return [
        (one.arm, base, one) if one.difference < 0 else (base, one.arm, one)
        for one in contrasts(level(layout, "accuracy"), base, alpha)
        if one.shown
    ]


def _with_more(
    layout: Layout, values: Values, base: str, alpha: float, sign: int
) -> list[tuple[str, str, Contrast]]:
    """Lower and higher arm, where the lower one is shown to have more (or less) of something."""
    found = []
    unequal = _unequal(layout, base, alpha)
    for worse, better, _ in unequal:
        one = contrast(values[worse], values[better], (worse, better), alpha / len(unequal))
        if one is not None and one.shown and sign * one.difference > 0:
            found.append((worse, better, one))
    return found
