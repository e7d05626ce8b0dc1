"""What a study will cost, from measured steps; and the largest study that fits into a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import torch

from normlab.data.dataset import Dataset
from normlab.data.load import BlockData, block_data
from normlab.errors import PlanError, UsageError, shortened
from normlab.records.plan import StudyPlan
from normlab.records.run import RunSpec
from normlab.study.calibration import CalibrationRun
from normlab.study.design.runs import plan_runs
from normlab.study.tuning.cost import tuning_runs
from normlab.text import format_seconds
from normlab.train.step_mode import DEFAULT_STEPS, StepMode

MAX_SECONDS = 366 * 86_400
"""The longest budget: a year."""
STEPS = 3
SIZES = (96, 64, 48, 32)
SAFE = 0.9
"""The share of a budget that is planned for: a calibration of a few steps is no promise."""
PREFERRED = ((10, 30), (5, 30), (5, 20), (5, 15), (5, 10), (5, 7), (5, 5), (3, 15), (3, 10))
"""(blocks, epochs) from the best down: five blocks make a verdict, below it is exploratory."""
EPOCHS = PREFERRED[0][1]
MODEST = ((3, 5), (2, 5), (1, 5), (1, 3), (1, 1))


@dataclass(frozen=True)
class Cost:
    """Measured seconds of one image, in training and in evaluation, for one kind of run."""

    train: float
    evaluate: float
    start: float = 0.0
    """Seconds that every run of the kind takes at its start: of compiled steps."""


GUESS = Cost(train=1e-3, evaluate=3e-4)
"""Where runs are made elsewhere and nothing is measured here: the times that are shown are right
once the first run has ended, since they follow its pace."""


@dataclass(frozen=True)
class Choice:
    """The size of study that a budget allows."""

    blocks: int
    epochs: int
    image_size: int
    seconds: float


CostKey = tuple[str, int, str, str, str]


class Calibration(NamedTuple):
    """What the runs of a study cost here."""

    costs: Mapping[CostKey, Cost]
    data: BlockData
    """Of the first block."""
    is_apart: bool = False
    """Whether steps are left to other processes, which the system may kill where memory runs out.
    """


def cost_key(spec: RunSpec) -> CostKey:
    """Runs that agree in these cost the same per image."""
    return spec.norm, spec.batch_size, str(spec.network), spec.augmentation, spec.precision


def measure_costs(
    specs: Iterable[RunSpec],
    dataset: Dataset,
    device: torch.device | str = "cpu",
    steps: StepMode = DEFAULT_STEPS,
    *,
    guess: bool = False,
) -> dict[CostKey, Cost]:
    """Train a few real steps of every kind of run, computed as `steps` says, and throw them away.

    What breaks in the calibration will break in its runs, where it becomes an outcome: it costs
    nothing. A `guess` is made without training anything.
    """
    if guess:
        return dict.fromkeys(map(cost_key, specs), GUESS)
    costs: dict[CostKey, Cost] = {}
    for spec in specs:
        if cost_key(spec) not in costs:
            data = block_data(dataset, spec, device)
            try:
                costs[cost_key(spec)] = _measure(spec, data, device, steps)
            except (RuntimeError, MemoryError):
                costs[cost_key(spec)] = Cost(train=0.0, evaluate=0.0)
    return costs


def run_seconds(spec: RunSpec, cost: Cost, data: BlockData) -> float:
    """Expected seconds of a whole run, its evaluations included."""
    train, validation, test = data.sizes
    steps = train // spec.batch_size * spec.batch_size
    epoch = steps * cost.train + validation * cost.evaluate
    evaluated = validation if spec.is_tuning else train + validation + test
    return cost.start + spec.epochs * epoch + evaluated * cost.evaluate


def study_seconds(
    specs: Iterable[RunSpec], costs: Mapping[CostKey, Cost], data: BlockData
) -> float:
    """Expected seconds of all the runs."""
    return sum(run_seconds(spec, costs[cost_key(spec)], data) for spec in specs)


def fit_to_budget(
    plan: StudyPlan,
    costs: Mapping[CostKey, Cost],
    data: BlockData,
    seconds: float,
    *,
    fixed: Mapping[str, int],
    least_epochs: int | None = 1,
) -> Choice:
    """The best study that fits: enough blocks first, then epochs, then the image's size.

    Learning comes before blocks: fewer of `least_epochs` rather than more of fewer epochs. None:
    nobody knows how many it takes, so as many as there are.

    The plan is a frozen one. `fixed` holds what the user chose ("blocks", "epochs", "image_size")
    and is not touched. A smaller image costs its share of pixels.

    Raises:
        PlanError: not even one epoch of one block fits.
    """
    size = plan.data.image_size
    sizes = [size, *(s for s in SIZES if s < size and "image_size" not in fixed)]
    candidates = [(b, e, s) for s in sizes for b, e in _learning(least_epochs)]
    candidates += [(b, e, s) for s in sizes for b, e in PREFERRED]
    candidates += [(b, e, sizes[-1]) for b, e in MODEST]
    expected = 0.0
    for blocks, epochs, image_size in candidates:
        blocks, epochs = fixed.get("blocks", blocks), fixed.get("epochs", epochs)
        training = plan.training.model_copy(update={"epochs": epochs})
        sized = plan.model_copy(update={"blocks": 1, "training": training})
        pixels = (image_size / size) ** 2
        expected = blocks * pixels * study_seconds(plan_runs(sized), costs, data)
        if plan.tuning is not None:
            tunings = blocks if plan.tuning.scope == "block" else 1
            expected += tunings * pixels * study_seconds(tuning_runs(sized), costs, data)
        if expected <= SAFE * seconds:
            return Choice(blocks, epochs, image_size, expected)
    raise PlanError(
        f"the budget of {format_seconds(seconds)} is too small: the least study takes about "
        f"{format_seconds(expected)}; give more time with --budget, or fewer norms"
    )


def _learning(least: int | None) -> list[tuple[int, int]]:
    """(blocks, epochs) from the best down, of studies that learn."""
    least = EPOCHS if least is None else least
    enough = [(blocks, epochs) for blocks, epochs in PREFERRED if epochs >= least]
    if least > min(epochs for _, epochs in PREFERRED):
        enough += [(blocks, least) for blocks in (5, 3, 2, 1)]
    return sorted(enough, key=lambda size: (-min(size[0], 5), -size[1]))


def parse_duration(text: str) -> float:
    """Seconds of "90s", "10m", "1.5h", or "night" (8 hours).

    Raises:
        UsageError: it is none of these, or longer than a year.

    >>> parse_duration("10m")
    600.0
    """
    if text.strip() == "night":
        return 8 * 3600.0
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", text.strip())
    if match is None:
        raise UsageError(f"a budget is like 10m, 1h or night, got {shortened(repr(text))}")
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
    if seconds > MAX_SECONDS:
        raise UsageError(f"a budget is at most a year, got {shortened(repr(text))}")
    return seconds


def _measure(spec: RunSpec, data: BlockData, device: torch.device | str, steps: StepMode) -> Cost:
    calibration = CalibrationRun(spec, data, device, steps)
    calibration.evaluate()
    train, evaluate = zip(
        *((calibration.train(), calibration.evaluate()) for _ in range(STEPS)), strict=True
    )
    return Cost(
        train=median(train) / spec.batch_size,
        evaluate=median(evaluate) / spec.batch_size,
        start=calibration.start_seconds,
    )
