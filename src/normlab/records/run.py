"""What a run is (RunSpec), what it did (EpochRow) and how it ended (Outcome).

All models are frozen and refuse unknown fields. A RunSpec holds everything that decides the
result; its id is the hash of its canonical JSON, so the same spec is the same run everywhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    Field,
    field_validator,
    model_validator,
)

from normlab.canonical import canonical_json
from normlab.errors import UnknownNameError, UsageError
from normlab.frozen import Frozen as Frozen
from normlab.frozen import of_checked
from normlab.limits import (
    MAX_BATCH_SIZE,
    MAX_BLOCKS,
    MAX_EPOCHS,
    MAX_RANKS,
    MAX_RATE,
    MAX_WEIGHT_DECAY,
    NormBatch,
    check_ranks,
)
from normlab.records.network import Option, hashed_network, network_text, with_options

NUMERICS_VERSION = 1
"""Raised when the code changes in a way that gives the same spec other numbers."""

OPTIMIZERS = ("sgd", "rmsprop", "adam", "adamw")
SCHEDULES = ("constant", "step", "multistep", "cosine", "onecycle")
AUGMENTATIONS = (
    *("mirror", "shift", "crop", "rotate", "jitter", "trivial", "rand", "erase"),
    *("mixup", "cutmix"),
)
AUGMENTATION_PRESETS = {
    "none": "",
    "light": "mirror+shift",
    "standard": "mirror+crop+rotate+jitter",
    "strong": "mirror+crop+trivial+erase+mixup+cutmix",
}
FIRST_TUNING_BLOCK = 1000
"""Blocks from here on served tuning alone, in studies that tuned once for all blocks."""
Policy = frozenset[str]
"""Operations out of AUGMENTATIONS."""
METRICS = ("accuracy", "loss", "micro_f1", "macro_f1")

Status = Literal["finished", "stopped_early", "diverged", "out_of_memory", "failed", "interrupted"]


TEST_FRACTION = AliasChoices("test_fraction", "evaluation_fraction")
VALIDATION_FRACTION = AliasChoices("validation_fraction", "selection_fraction")
"""The second name is the one that records had before the parts were train, validation and test."""
_VALIDATION = AliasChoices("validation", "selection")
_VALIDATION_BY_BATCHES = AliasChoices("validation_by_batches", "selection_by_batches")
_TEST = AliasChoices("test", "evaluation")


def hashed_form(data: dict[str, Any]) -> dict[str, Any]:
    """The geometry of the data with the keys that hashes are taken over.

    They are those of the first records, so that a run keeps its id and a plan its hash whatever its
    fields are called later.

    >>> hashed_form({"test_fraction": 0.2, "image_size": 64})
    {'evaluation_fraction': 0.2, 'image_size': 64}
    """
    first = {"test_fraction": "evaluation_fraction", "validation_fraction": "selection_fraction"}
    return {first.get(key, key): value for key, value in data.items()}


LATER_KEYS: dict[str, Any] = {
    "augmentation_method": None,
    "accumulate": 1,
    "ema": None,
    "precise_statistics": False,
    "ranks": 1,
    "norm_batch": None,
}
"""Keys that came after the first records, with the value that changes nothing: runs and plans that
have it are hashed without the key."""


def without_later_keys(content: dict[str, Any]) -> None:
    """Drop from a run, or a plan's [training], the keys that say what all runs did before."""
    for key, value in LATER_KEYS.items():
        if content[key] == value:
            del content[key]


def known(kind: str, name: str, available: tuple[str, ...]) -> str:
    """The name itself, or an UnknownNameError that suggests the nearest one."""
    if name not in available:
        raise UnknownNameError(kind, name, available)
    return name


def check_augmentation(name: str) -> str:
    """The name itself: a preset, or operations joined by "+".

    Raises:
        UnknownNameError: no such operation or preset.
        UsageError: a preset among operations.
    """
    if name not in AUGMENTATION_PRESETS:
        for part in name.split("+"):
            known("augmentation", part, (*AUGMENTATION_PRESETS, *AUGMENTATIONS))
            if part in AUGMENTATION_PRESETS:
                raise UsageError(f"the preset {part!r} cannot be joined with others by +")
    return name


class DataSpec(Frozen):
    """Which pixels the run sees: the data's fingerprint, its classes, the geometry, the split."""

    fingerprint: str
    classes: tuple[str, ...]
    image_size: int = Field(ge=8, le=1024)
    resize: Literal["squash", "fit", "crop"] = "squash"
    test_fraction: float = Field(default=0.2, gt=0, lt=1, validation_alias=TEST_FRACTION)
    validation_fraction: float = Field(
        default=0.1, gt=0, lt=1, validation_alias=VALIDATION_FRACTION
    )
    groups: str = ""
    """Hash of the groups of copies, which decide the split."""


class NetworkSpec(Frozen):
    """A network by its registered name, with its options; `normlab networks` lists them.

    Text is taken too: "cifar-resnet20:shortcut=B".
    """

    name: str = "cifar-resnet14"
    options: dict[str, Option] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _of_text_or_first_form(cls, value: Any) -> Any:
        return with_options(value)

    def __str__(self) -> str:
        return network_text(self.name, self.options)


class OptimizerSpec(Frozen):
    """A torch optimizer and its settings; a setting that an optimizer lacks is ignored by it."""

    name: str = "sgd"
    learning_rate: float = Field(default=0.1, gt=0, le=MAX_RATE)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(default=0.0, ge=0, le=MAX_WEIGHT_DECAY)
    decay_norm_parameters: bool = False
    gate_learning_rate_multiplier: float = Field(default=10.0, gt=0, le=MAX_RATE)

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        return known("optimizer", name, OPTIMIZERS)


class ScheduleSpec(Frozen):
    """The learning rate over time; epochs may be fractions, the rate changes at every step."""

    name: str = "constant"
    warmup_epochs: float = Field(default=0.0, ge=0, le=MAX_EPOCHS)
    step_epochs: float = Field(default=10.0, gt=0, le=MAX_EPOCHS)
    milestones: tuple[Annotated[float, Field(gt=0, le=MAX_EPOCHS)], ...] = ()
    factor: float = Field(default=0.1, gt=0, lt=1)

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        return known("schedule", name, SCHEDULES)


class RunSpec(Frozen):
    """Everything that decides the result of one run."""

    arm: str
    """The name under which the run is compared; two arms may have the same settings (A/A)."""
    block: int = Field(ge=0, lt=2 * MAX_BLOCKS)
    seed: int = 0
    """Root of all random streams; a study has one, its blocks differ by number."""
    data: DataSpec
    network: NetworkSpec = NetworkSpec()
    norm: str
    """Canonical spec string of the normalization, e.g. "gn:groups=8"."""
    optimizer: OptimizerSpec = OptimizerSpec()
    schedule: ScheduleSpec = ScheduleSpec()
    batch_size: int = Field(default=32, ge=1, le=MAX_BATCH_SIZE)
    epochs: int = Field(default=30, ge=1, le=MAX_EPOCHS)
    patience: int | None = Field(default=None, ge=1, le=MAX_EPOCHS)
    """Stop after so many epochs without a better validation accuracy; None trains to the end."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    clip_gradient_norm: float | None = Field(default=None, gt=0)
    accumulate: int = Field(default=1, ge=1, le=MAX_BATCH_SIZE)
    """Batches whose gradients make one step; norms see each batch by itself."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decay of the average of the weights that is evaluated; None: the weights themselves are."""
    precise_statistics: bool = False
    """Whether running statistics are measured anew for the weights that are reported."""
    augmentation: str = "light"
    augmentation_method: Literal[2] | None = None
    """2: in one pass over fixed-point positions, the same bits on every device. None: by the
    framework's own resampling, as all runs were before; and where nothing is resampled."""
    precision: Literal["float32", "bfloat16"] = "float32"
    ranks: int = Field(default=1, ge=1, le=MAX_RANKS)
    """Processes that train the run together, each on its part of every batch."""
    norm_batch: NormBatch | None = None
    """With several ranks: what a batch norm takes its statistics over in training."""
    numerics: int = NUMERICS_VERSION
    purpose: Literal["comparison", "tuning"] = "comparison"
    """A run that serves tuning is judged on the validation part alone."""

    @field_validator("augmentation")
    @classmethod
    def _known(cls, name: str) -> str:
        return check_augmentation(name)

    @model_validator(mode="after")
    def _ranks_have_parts(self) -> RunSpec:
        check_ranks(self.ranks, self.norm_batch, self.batch_size)
        return self

    @property
    def statistics_batch(self) -> int:
        """Images that statistics over the batch are taken from in training."""
        return self.batch_size // (self.ranks if self.norm_batch == "local" else 1)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, which is another run."""
        copied = super().model_copy(update=update, deep=deep)
        for name in ("id", "folder_name", "around_block"):
            vars(copied).pop(name, None)
        return copied

    def in_block(self, block: int) -> Self:
        """The same in another block, a tenth of a copy's time: a study may have 100,000 runs."""
        assert self.around_block  # which the copies share
        values = vars(self) | {"block": block}
        for name in ("id", "folder_name"):
            values.pop(name, None)
        return of_checked(type(self), values, self.model_fields_set)

    @cached_property
    def id(self) -> str:
        """The first 12 hexadecimal digits of SHA-256 over the canonical JSON."""
        before, after = self.around_block
        return hashlib.sha256(f"{before}{self.block}{after}".encode()).hexdigest()[:12]

    @cached_property
    def around_block(self) -> tuple[str, str]:
        """The canonical JSON before and after the block's number, which copies that differ in it
        alone share: to write it takes ten times as long as to hash it.
        """
        content = self.model_dump(mode="json")
        content["data"] = hashed_form(content["data"])
        content["network"] = hashed_network(content["network"])
        without_later_keys(content)
        if self.purpose == "comparison":  # as runs were hashed that knew nothing else
            del content["purpose"]
        before = {key: value for key, value in content.items() if key < "block"}
        after = {key: value for key, value in content.items() if key > "block"}
        return f'{canonical_json(before)[:-1]},"block":', f",{canonical_json(after)[1:]}"

    @property
    def is_tuning(self) -> bool:
        """Whether the run serves tuning alone and is never compared or tested."""
        return self.purpose == "tuning" or self.block >= FIRST_TUNING_BLOCK

    @cached_property
    def folder_name(self) -> str:
        """Readable and unique: block, arm and id, with only portable characters."""
        arm = re.sub(r"[^A-Za-z0-9.=-]+", "-", self.arm)[:40]
        return f"b{self.block:02d}-{arm}-{self.id}"


def _not_negative(value: float) -> float:
    """The value itself; not a number is the loss of a run that diverged."""
    if value < 0:
        raise ValueError(f"a loss is at least 0, got {value}")
    return value


Share = Annotated[float, Field(ge=0, le=1 + 1e-5)]
"""Between 0 and 1; a mean of float32 shares may be a little more."""
Loss = Annotated[float, AfterValidator(_not_negative)]
"""At least 0, or not a number."""
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Measures(Frozen):
    """The four figures of one part of the data; accuracy and the F1s are shares in [0, 1]."""

    loss: Loss
    accuracy: Share
    micro_f1: Share
    macro_f1: Share
    images: int = Field(ge=1)


class EpochRow(Frozen):
    """The row of one epoch in epochs.jsonl: losses, scores and time."""

    epoch: int = Field(ge=1)
    learning_rate: float = Field(ge=0, allow_inf_nan=False)
    """After the last step of the epoch; that of the first parameter group."""
    train: Measures
    """Running figures in training mode, with augmentation, while the weights moved."""
    validation: Measures = Field(validation_alias=_VALIDATION)
    """Evaluation mode, at the end of the epoch."""
    seconds: Seconds
    """Seconds of the training steps alone, without evaluation and storing."""
    images_per_second: float = Field(ge=0, allow_inf_nan=False)


class NormSite(Frozen):
    """One normalization of the network, as it was measured before the first step."""

    layer: str
    """The name of its module, e.g. "stages.0.1.norm2"."""
    kind: str
    """The name of its class, e.g. "GroupNorm2d"."""
    over: Literal["batch", "instance", "group", "layer", "pixel", "nothing", "unknown"]
    """What its statistics are taken over in training: pixels of several samples; of one sample, one
    channel, some or all; the channels of one pixel."""
    values: int | None = Field(ge=1)
    """Values in a statistic; None where it takes none."""
    standardizes: bool
    """Whether it computes γ·(x − mean)/√(variance + ε) + β of these statistics and nothing else."""


class Outcome(Frozen):
    """How the run ended. All kinds are results; none is dropped."""

    status: Status
    epochs: int = Field(ge=0)
    """Epochs that were finished."""
    reported_epoch: int | None = Field(default=None, ge=1)
    """The epoch whose weights were kept and evaluated."""
    train: Measures | None = None
    """Evaluation mode, without augmentation, at the reported epoch; likewise the two below."""
    validation: Measures | None = Field(default=None, validation_alias=_VALIDATION)
    test: Measures | None = Field(default=None, validation_alias=_TEST)
    validation_by_batches: Measures | None = Field(
        default=None, validation_alias=_VALIDATION_BY_BATCHES
    )
    """The validation part once more, normalized with the statistics of its own batches; None where
    no layer keeps running ones."""
    parameters: int | None = Field(default=None, ge=0)
    norm_sites: tuple[NormSite, ...] | None = None
    """Normalizations in the order of the network's modules; None in records of before."""
    scores: dict[str, float] | None = None
    """Of a training of somebody's own: its figures on held-out data, by name."""
    seconds: Seconds = 0.0
    """All training steps of the run."""
    error: str | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Outcome:
        if self.reported_epoch is not None and self.reported_epoch > self.epochs:
            raise ValueError(
                f"epoch {self.reported_epoch} is reported of {self.epochs} that were finished"
            )
        return self

    @property
    def is_final(self) -> bool:
        """Whether running again would change nothing."""
        return self.status in ("finished", "stopped_early", "diverged")
