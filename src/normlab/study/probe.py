"""Does it learn at all? One arm, trained for some seconds before a study, against guessing."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from scipy.stats import binomtest

from normlab.data.load import BlockData
from normlab.records.data_report import Probe
from normlab.records.plan import StudyPlan
from normlab.records.run import RunSpec
from normlab.study.budget import Cost
from normlab.study.calibration import endless
from normlab.train.fit import evaluate, train_epoch
from normlab.train.network import build_network
from normlab.train.optimizers import make_optimizer, make_schedule
from normlab.train.step import gradients_of
from normlab.train.step_mode import DEFAULT_STEPS, StepMode

LONGEST = 15.0
"""Seconds of a probe …"""
SHARE = 0.05
"""… and its share of the study's time …"""
OF_A_RUN = 0.25
"""… or of one run, where that is more."""
SHORTEST = 1.0
"""Seconds below which there is none: the study itself is over soon."""
LEVEL = 0.01
"""Of the test, over all of its looks: a hundredth of unlearnable data would be called learnable."""
LOOKS = (2, 4, 8)
"""Eighths of the steps after which the validation part is looked at."""
JUDGED = 2048
"""Validation images that are looked at, at most."""
SIZES = (32, 48, 64, 96, 128, 160, 224)


def probe_seconds(study: float, run: float = 0.0) -> float | None:
    """How long it may take, before a study and runs of so many seconds; None: there is none."""
    seconds = min(LONGEST, max(SHARE * study, OF_A_RUN * run))
    return seconds if seconds >= SHORTEST else None


def probed_run(plan: StudyPlan, runs: Sequence[RunSpec]) -> RunSpec:
    """The reference's run of the first block, in the first setting."""
    return next((run for run in runs if run.arm == plan.analysis.reference), runs[0])


@dataclass(frozen=True)
class _Look:
    right: int
    epochs: float
    p_value: float
    finite: bool


def run_probe(
    spec: RunSpec,
    data: BlockData,
    cost: Cost,
    seconds: float,
    steps: StepMode = DEFAULT_STEPS,
) -> Probe | None:
    """Train for about so many seconds, with the schedule drawn together; nothing is kept.

    It ends as soon as the validation part is above chance. None where the run breaks: it will do
    so in the study too, where that is an outcome.
    """
    start = time.monotonic()
    judged = _judged(data)
    labels = judged.labels("validation")
    largest = int(np.bincount(labels).max())
    try:
        looks = _train(spec, judged, cost, seconds, largest, steps)
    except (RuntimeError, MemoryError):
        return None
    learned = next((look for look in looks if look.p_value <= LEVEL / len(LOOKS)), None)
    last = looks[-1]
    return Probe(
        arm=spec.arm,
        seconds=time.monotonic() - start,
        epochs=last.epochs,
        planned_epochs=spec.epochs,
        images=len(labels),
        right=last.right,
        largest=largest,
        p_value=min(1.0, len(LOOKS) * min(look.p_value for look in looks)),
        learned=learned is not None,
        learned_after=None if learned is None else learned.epochs,
        diverged=not last.finite,
    )


def _train(
    spec: RunSpec, data: BlockData, cost: Cost, seconds: float, largest: int, steps: StepMode
) -> list[_Look]:
    step_seconds = max(cost.train * spec.batch_size, 1e-6)
    planned = spec.epochs * data.steps_per_epoch
    part = max(1, math.ceil(min(planned, seconds / step_seconds) / LOOKS[-1]))
    per_epoch = max(1, math.ceil(LOOKS[-1] * part / spec.epochs))
    network = build_network(spec, data.device)
    optimizer = make_optimizer(network, spec.optimizer)
    schedule = make_schedule(
        optimizer, spec.schedule, epochs=spec.epochs, steps_per_epoch=per_epoch
    )
    gradients = gradients_of(network, spec, steps)
    batches, looks = endless(data), []
    deadline = time.monotonic() + 2 * seconds  # of a machine that is busier than it was
    for eighth in range(1, LOOKS[-1] + 1):
        shown, _ = train_epoch(network, optimizer, schedule, islice(batches, part), spec, gradients)
        finite, late = math.isfinite(shown.loss), time.monotonic() > deadline
        if eighth not in LOOKS and finite and not late:
            continue
        found, _ = evaluate(network, data.plain_batches("validation"), spec)
        right = round(found.accuracy * found.images)
        test = binomtest(right, found.images, largest / found.images, alternative="greater")
        p_value = float(test.pvalue)
        seen = eighth * part * spec.batch_size / data.sizes[0]
        looks.append(_Look(right, seen, p_value, finite))
        if p_value <= LEVEL / len(LOOKS) or not finite or late:
            break
    return looks


def _judged(data: BlockData) -> BlockData:
    """The data with at most JUDGED validation images, spread over the part."""
    images = data.split.validation
    if len(images) <= JUDGED:
        return data
    chosen = images[np.linspace(0, len(images) - 1, JUDGED).astype(int)]
    return replace(data, split=replace(data.split, validation=chosen))


def with_proposals(probe: Probe, plan: StudyPlan, typical_size: int) -> Probe:
    """The probe with options to try, where it learned nothing: epochs, size, rate.

    `typical_size` is the shorter side of the images as they are, in pixels.
    """
    if probe.learned or probe.is_too_short:
        return probe
    found = []
    if not probe.diverged:
        found.append(f"--epochs {max(30, 3 * plan.training.epochs)}")
        size = next((s for s in SIZES if s > plan.data.image_size), None)
        if size is not None and size <= typical_size:
            found.append(f"--image-size {size}")
    if plan.tuning is None:
        rates = plan.factors[0].learning_rate
        if len(rates) == 1:
            found.append(f"--learning-rates {rates[0] / 10:g}")
    return probe.model_copy(update={"proposals": tuple(found)})


def least_epochs(probe: Probe | None) -> int | None:
    """Epochs that a budget buys before it buys blocks: twice those until something was learned.

    None: as many as it can, since nothing was. Without a probe, or by one that was too short to
    tell, any number will do.
    """
    if probe is None or probe.is_too_short:
        return 1
    if probe.learned_after is None:
        return None
    return max(1, math.ceil(2 * probe.learned_after))
