"""The plan of a study: what study.toml says, frozen and hashed before the first run."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from normlab.canonical import content_hash
from normlab.errors import PlanError, UnknownNameError, first_fault
from normlab.inputs import read_toml
from normlab.limits import (
    MAX_BATCH_SIZE,
    MAX_BLOCKS,
    MAX_EPOCHS,
    MAX_RANKS,
    MAX_RATE,
    MAX_WEIGHT_DECAY,
    NormBatch,
)
from normlab.plugins import check_name
from normlab.records.network import hashed_network, is_own, module_of
from normlab.records.run import (
    METRICS,
    TEST_FRACTION,
    VALIDATION_FRACTION,
    Frozen,
    NetworkSpec,
    hashed_form,
    known,
    without_later_keys,
)
from normlab.records.store import atomic_write

FACTORS = ("norm", "optimizer", "learning_rate", "batch_size")

SEAL = "seal"

CopyLevel = Literal["duplicates", "exact", "look-alikes", "near"]

MARGIN_SHARE = 0.1
"""Of the reference's error rate: differences below it are practically equal by default."""


class DataPlan(Frozen):
    """Where the images are and how they are cut and scaled."""

    source: str
    """A path, relative to where the command runs; or "demo:digits", "torchvision:…", "hf:…"."""
    image_size: int = Field(default=64, ge=8, le=1024)
    resize: Literal["squash", "fit", "crop"] = "squash"
    test_fraction: float = Field(default=0.2, gt=0, lt=1, validation_alias=TEST_FRACTION)
    validation_fraction: float = Field(
        default=0.1, gt=0, lt=1, validation_alias=VALIDATION_FRACTION
    )
    copies: CopyLevel = "duplicates"
    """What is kept on one side of every split: equal files alone; mirrored, turned, zoomed,
    re-encoded duplicates too; or what only looks alike as well, such as frames of one scene. `near`
    are the duplicates as the first version found them, which studies of that time go on with."""
    pairs: str = ""
    """A pairs.csv with decisions about pairs; the groups it leads to are frozen, its place not."""


class TrainingPlan(Frozen):
    """The table [training]: what all arms share."""

    network: NetworkSpec = NetworkSpec()
    epochs: int = Field(default=30, ge=1, le=MAX_EPOCHS)
    schedule: str = "onecycle"
    warmup_epochs: float = Field(default=0.0, ge=0, le=MAX_EPOCHS)
    step_epochs: float = Field(default=10.0, gt=0, le=MAX_EPOCHS)
    milestones: tuple[Annotated[float, Field(gt=0, le=MAX_EPOCHS)], ...] = ()
    factor: float = Field(default=0.1, gt=0, lt=1)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(default=5e-4, ge=0, le=MAX_WEIGHT_DECAY)
    decay_norm_parameters: bool = False
    patience: int | None = Field(default=None, ge=1, le=MAX_EPOCHS)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    clip_gradient_norm: float | None = Field(default=None, gt=0)
    accumulate: int = Field(default=1, ge=1, le=MAX_BATCH_SIZE)
    ema: float | None = Field(default=None, gt=0, lt=1)
    precise_statistics: bool = False
    augmentation: str = "light"
    augmentation_method: Literal[1, 2] | None = None
    """How images are resampled (docs/data.md): 1 by the framework, 2 in one pass; a study that
    starts now and names none gets 2 where it applies, one begun without goes on by the first."""
    precision: Literal["float32", "bfloat16"] = "float32"
    ranks: int = Field(default=1, ge=1, le=MAX_RANKS)
    """Processes that train every run together, each on its part of the batch."""
    norm_batch: NormBatch | None = None
    """With several ranks: a batch norm's batch is each rank's own part, or that of all."""


class Factors(Frozen):
    """One full factorial: every combination of the listed levels is a cell."""

    norm: tuple[str, ...] = ("bn", "in", "bin", "ln", "gn", "none", "torch-bn")
    """Spec strings; "bn as twin" gives an arm another name, as an A/A study needs."""
    optimizer: tuple[str, ...] = ("sgd",)
    learning_rate: tuple[Annotated[float, Field(gt=0, le=MAX_RATE)], ...] = (0.1,)
    """Ignored where the study tunes it."""
    batch_size: tuple[Annotated[int, Field(ge=1, le=MAX_BATCH_SIZE)], ...] = (32,)
    training: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    """Levels of any key of [training], e.g. training.augmentation = ["none", "light"]."""

    @field_validator(*FACTORS, "training")
    @classmethod
    def _no_empty_or_repeated_level(cls, value: Any, info: ValidationInfo) -> Any:
        named = info.field_name == "training"
        for key, levels in value.items() if named else ((str(info.field_name), value),):
            if named and key not in TrainingPlan.model_fields:
                raise UnknownNameError("training factor", key, tuple(TrainingPlan.model_fields))
            if not levels:
                raise PlanError(f"factor {key!r} has no level; give at least one")
            if twice := [level for place, level in enumerate(levels) if level in levels[:place]]:
                raise PlanError(f"factor {key!r} repeats a level, {twice[0]}; list it once")
        return value


class Exclusion(Frozen):
    """Cells that are left out, and why; a cell is excluded when it has all the levels given."""

    reason: str = Field(min_length=1)
    norm: tuple[str, ...] = ()
    """Names of norms; empty means any, as below."""
    optimizer: tuple[str, ...] = ()
    learning_rate: tuple[float, ...] = ()
    batch_size: tuple[int, ...] = ()


class TuningPlan(Frozen):
    """What every arm is given to find its own learning rate (and weight decay) with."""

    scope: Literal["block", "study"] = "block"
    """"block": anew in every block, as part of what is compared. "study": once, on blocks of its
    own; the luck of that one tuning is then in all blocks, and the verdict is exploratory."""
    points: int = Field(default=8, ge=2, le=256)
    """Points of the first rung, the same for every arm."""
    blocks: int = Field(default=1, ge=1, le=MAX_BLOCKS)
    """In scope "study": the number of blocks of its own, which the comparison never uses."""
    epochs: int | None = Field(default=None, ge=1, le=MAX_EPOCHS)
    """Of the last rung. None: in scope "block" so many that all the tuning of an arm in a block
    trains about as long as one run that is compared; in scope "study" as long as those."""
    learning_rate: tuple[float, float] | None = (1e-3, 1.0)
    """Lowest and highest learning rate, on a logarithmic scale; None: it is not tuned."""
    weight_decay: tuple[float, float] | None = None
    """Lowest and highest weight decay, as for the learning rate."""
    rungs: int = Field(default=1, ge=1, le=4)
    """Successive halving: each rung trains three times as long and keeps a third of the points."""
    widen: int = Field(default=1, ge=0, le=4)
    """How often the range grows by a factor of ten, for all arms, where an optimum seems to lie
    outside of it."""

    @model_validator(mode="after")
    def _something_to_tune(self) -> TuningPlan:
        if not self.ranges:
            raise PlanError("tuning has no range; give learning_rate = [0.001, 1.0]")
        for name, (low, high) in self.ranges.items():
            if not 0 < low < high <= MAX_RATE:
                raise PlanError(
                    f"tuning.{name} must be [low, high] with 0 < low < high <= {MAX_RATE:g}"
                )
        return self

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """The range of every parameter that is tuned."""
        ranges = {"learning_rate": self.learning_rate, "weight_decay": self.weight_decay}
        return {name: found for name, found in ranges.items() if found is not None}


class AnalysisPlan(Frozen):
    """How the answer will be judged, fixed before the first run."""

    compare: str = "norm"
    """The factor whose levels are the arms: norm, optimizer, learning_rate, batch_size, or a key of
    [training] that varies."""
    reference: str = "bn"
    """The arm that the others are set against; empty: bn, or the first arm where there is none."""
    metric: str = "accuracy"
    margin: float = Field(default=0.01, gt=0)
    """Differences inside ± margin are practically equal (accuracy: 0.01 is one point)."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    looks: tuple[Annotated[int, Field(le=MAX_BLOCKS)], ...] = ()
    """Blocks after which the study is judged; empty: after every block from the third on (by the
    first method: once, after the last planned block)."""
    method: Literal[1, 2] | None = None
    """The rules of the decisions (docs/method.md); a study that starts now gets 2, one that was
    frozen without any has the first."""
    margin_share: float | None = Field(default=None, gt=0, lt=1)
    """The margin is this share of the reference's error rate in the first block, at least two test
    images, instead of `margin`."""

    @field_validator("metric")
    @classmethod
    def _known(cls, name: str) -> str:
        return name if is_own(name) else known("metric", name, METRICS)

    @field_validator("looks")
    @classmethod
    def _rising(cls, looks: tuple[int, ...]) -> tuple[int, ...]:
        if any(b <= a for a, b in itertools.pairwise((1, *looks))):
            raise PlanError(f"looks must rise and start at 2 or later, got {list(looks)}")
        return looks

    @field_validator("compare")
    @classmethod
    def _comparable(cls, name: str) -> str:
        return known("factor", name, (*FACTORS, *TrainingPlan.model_fields))


class Frozenness(Frozen):
    """Written when the study starts: the hash of the plan and the identity of the data."""

    hash: str
    created: str
    normlab: str
    fingerprint: str
    classes: tuple[str, ...]
    groups: str = ""
    """Hash of the groups of copies, which decide the splits."""
    blocks: int = 0
    """Planned at the start; more than these were added after looking."""

    @property
    def seal(self) -> str:
        """SHA-256 of all of it: with the plan's hash, of all that must not change any more."""
        return content_hash(self.model_dump(mode="json", exclude_defaults=True))


class StudyPlan(Frozen):
    """A study: data, factors, shared training, analysis, and the number of blocks."""

    name: str
    seed: int = 0
    blocks: int = Field(default=3, ge=1, le=MAX_BLOCKS)
    plugins: tuple[str, ...] = ()
    """Modules that every process of the study imports first, as one that registers a norm."""
    track: tuple[str, ...] = ()
    """Trackers that the study is sent to, as mlflow:http://127.0.0.1:5000; no part of the hash."""
    data: DataPlan
    factors: tuple[Factors, ...] = (Factors(),)
    exclude: tuple[Exclusion, ...] = ()
    tuning: TuningPlan | None = None
    training: TrainingPlan = TrainingPlan()
    analysis: AnalysisPlan = AnalysisPlan()
    frozen: Frozenness | None = None

    @field_validator("plugins")
    @classmethod
    def _modules(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(check_name(name) for name in names))

    @model_serializer(mode="wrap")
    def _without_empty_lists(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A plan without plugins and trackers is written, and hashed, as before there were any."""
        content: dict[str, Any] = handler(self)
        return {k: value for k, value in content.items() if value or k not in ("plugins", "track")}

    @model_validator(mode="after")
    def _functions_are_of_plugins(self) -> StudyPlan:
        """What a study calls by name must be code that its user was asked about."""
        for network in self.networks:
            module = module_of(network.name)
            if module is not None and module not in self.plugins:
                raise PlanError(
                    f"the network {network.name} is a function of {module}, which is not among the "
                    f'plugins; add plugins = ["{module}"], or --plugin {module}'
                )
        return self

    @model_validator(mode="before")
    @classmethod
    def _tuned_once_before_scopes(cls, content: Any) -> Any:
        """A frozen plan whose tuning names no scope is of a time that knew only "study"."""
        if not isinstance(content, dict) or not content.get("frozen"):
            return content
        tuning = content.get("tuning")
        if not isinstance(tuning, dict) or "scope" in tuning:
            return content
        return {**content, "tuning": {**tuning, "scope": "study"}}

    @property
    def networks(self) -> tuple[NetworkSpec, ...]:
        """The network of [training], and those that are levels of a factor."""
        levels = [level for f in self.factors for level in f.training.get("network", ())]
        return (self.training.network, *map(NetworkSpec.model_validate, levels))

    def with_blocks(self, blocks: int) -> StudyPlan:
        """The same plan with so many blocks; a PlanError outside of 1 to MAX_BLOCKS, or for fewer
        than a study that has begun has.
        """
        if blocks < 1:
            raise PlanError(f"a study has at least 1 block, got {blocks}")
        if self.frozen is not None and blocks < self.blocks:
            raise PlanError(
                f"a study that has begun keeps its {self.blocks} blocks, and only more may be "
                f"added, got {blocks}; for fewer start another study in another folder"
            )
        if blocks > MAX_BLOCKS:
            raise PlanError(f"a study has at most {MAX_BLOCKS:,} blocks, got {blocks}")
        return self.model_copy(update={"blocks": blocks})

    @property
    def hash(self) -> str:
        """SHA-256 of all but the number of blocks (may grow), the data's path and the trackers."""
        left_out = {"blocks": True, "frozen": True, "track": True}
        content = self.model_dump(mode="json", exclude=left_out)
        del content["data"]["source"], content["data"]["pairs"]
        for name in ("method", "margin_share"):  # no study before had them
            if content["analysis"][name] is None:
                del content["analysis"][name]
        without_later_keys(content["training"])
        content["data"] = hashed_form(content["data"])
        content["training"]["network"] = hashed_network(content["training"]["network"])
        for factors in content["factors"]:
            if "network" in factors["training"]:
                levels = factors["training"]["network"]
                factors["training"]["network"] = [
                    hashed_network(level, complete=False) for level in levels
                ]
        if self.tuning is not None and self.tuning.scope == "study":
            del content["tuning"]["scope"]  # as plans were hashed that knew nothing else
        return content_hash(content)


def read_plan(path: Path) -> StudyPlan:
    """Read a study.toml; a defect in it becomes one sentence that names the key.

    Raises:
        PlanError: the file is missing, is not TOML, has unknown or wrong values, or was changed
            after it had been frozen.
    """
    try:
        content = read_toml(path, "restore the file, or start another study", PlanError)
    except FileNotFoundError:
        raise PlanError(f"no study plan at {path}; make one with: normlab compare FOLDER") from None
    seal = content.pop(SEAL, None)
    plan = parse_plan(content, str(path))
    if seal is not None and plan.frozen is None:
        raise PlanError(
            f"{path} has a seal and no table [frozen]: its end is missing. Restore the file; for "
            "another study with its settings, remove the line of the seal too"
        )
    if plan.frozen is not None and (
        plan.frozen.hash != plan.hash or seal not in (None, plan.frozen.seal)
    ):
        raise PlanError(
            f"{path} was changed after its study had started (its frozen hash differs); undo the "
            "change, or start another study in another folder"
        )
    return plan


def parse_plan(
    content: dict[str, Any], origin: str = "the plan", named: Callable[..., str] | None = None
) -> StudyPlan:
    """Turn plain data into a StudyPlan.

    Args:
        content: what a study.toml holds.
        origin: what a message names as the place of the fault, if anything.
        named: what a value is called there, by the keys that lead to it.

    Raises:
        PlanError: the content is no plan; one sentence names the key and the value.
    """
    if isinstance(content.get("factors"), dict):  # one [factors] table is a list of one
        content = {**content, "factors": [content["factors"]]}
    try:
        return StudyPlan.model_validate(content)
    except ValidationError as error:
        raise PlanError(f"{origin}: {first_fault(error, named)}".removeprefix(": ")) from None


def write_plan(plan: StudyPlan, path: Path) -> None:
    """Write the plan as TOML, whole or not at all.

    The seal of a frozen plan is the first line, so that no cut takes it along with [frozen]; plans
    of before there was one are read without.
    """
    content = plan.model_dump(mode="json", exclude_none=True)
    if plan.frozen is not None:
        content = {SEAL: plan.frozen.seal, **content}
    atomic_write(path, tomli_w.dumps(content).encode())
