"""Commands that try something else with the study at hand, ready to be copied into a shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from normlab.records.cells import level_text, varied
from normlab.records.plan import StudyPlan, TrainingPlan
from normlab.text import shell_command

_DEFAULTS = TrainingPlan()
_AUGMENTATION = "light"


@dataclass(frozen=True)
class Change:
    """What a new study does otherwise; what is None or empty stays as it is."""

    name: str
    """Of its folder, after that of this study."""
    norms: Sequence[str] = ()
    batch_sizes: Sequence[int] = ()
    tune: int | None = None
    epochs: int | None = None
    model: str | None = None
    vary: dict[str, Sequence[object]] = field(default_factory=dict)


def compare_command(plan: StudyPlan, folder: str, change: Change) -> str:
    """`normlab compare` with the options of this study and the change.

    Options at their defaults are left out; keys that the command has no option for (momentum, label
    smoothing, …) are those of its defaults.
    """
    return " ".join(
        ["normlab compare", shlex.quote(plan.data.source), *_options(plan, folder, change)]
    )


def run_command(folder: str, blocks: int) -> str:
    """`normlab run` up to so many blocks."""
    return shell_command("run", folder, "--blocks", blocks)


def levels(plan: StudyPlan, name: str) -> tuple[object, ...]:
    """The levels of a factor over all factorials, each once, in the order of the plan."""
    return tuple(dict.fromkeys(level for one in plan.factors for level in getattr(one, name)))


def _options(plan: StudyPlan, folder: str, change: Change) -> list[str]:
    training, analysis = plan.training, plan.analysis
    tuned = change.tune is not None or plan.tuning is not None
    given: dict[str, object] = {
        "norms": _listed(change.norms or levels(plan, "norm")),
        "optimizers": _unless(_listed(levels(plan, "optimizer")), "sgd"),
        "learning-rates": None if tuned else _listed(levels(plan, "learning_rate")),
        "batch-sizes": _unless(_listed(change.batch_sizes or levels(plan, "batch_size")), "32"),
        "compare": _unless(analysis.compare, "norm"),
        "reference": _unless(analysis.reference, "bn"),
        "metric": _unless(analysis.metric, "accuracy"),
        "blocks": plan.blocks,
        "tune": change.tune or (plan.tuning.points if plan.tuning is not None else None),
        "image-size": plan.data.image_size,
        "resize": _unless(plan.data.resize, "squash"),
        "copies": _unless(plan.data.copies, "near"),
        "model": change.model or str(training.network),
        "epochs": change.epochs or training.epochs,
        "schedule": _unless(training.schedule, "onecycle"),
        "augmentation": _unless(training.augmentation, _AUGMENTATION),
        "weight-decay": _unless(training.weight_decay, _DEFAULTS.weight_decay),
        "patience": training.patience,
        "accumulate": _unless(training.accumulate, 1),
        "ema": training.ema,
        "precise-statistics": _unless(training.precise_statistics, False),
        "precision": _unless(training.precision, "float32"),
        "seed": _unless(plan.seed, 0),
    }
    for key in change.vary:
        given.pop(key.replace("_", "-"), None)
    words = [
        f"--{name}" if value is True else f"--{name} {_quoted(value)}"
        for name, value in given.items()
        if value is not None
    ]
    own = {
        key: tuple(dict.fromkeys(v for one in plan.factors for v in one.training.get(key, ())))
        for key in varied(plan)
    }
    words += [
        f"--vary {_quoted(key + '=' + _listed(values))}"
        for key, values in (own | change.vary).items()
    ]
    return [*words, f"--out {shlex.quote(f'{folder}-{change.name}')}"]


def _unless(value: object, usual: object) -> object:
    """The value where it is not what the command takes by itself."""
    return None if value == usual else value


def _listed(values: Sequence[object]) -> str:
    return ",".join(level_text(value) for value in values)


def _quoted(value: object) -> str:
    return shlex.quote(level_text(value))
