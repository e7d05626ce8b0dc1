"""The options of the verbs, in groups: a group is a dataclass, and its fields are options.

Verbs that take the same group have the same options with the same defaults, under the same heading
of their --help. See normlab.cli.expand for how a group becomes options.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from normlab.cli.groups.network_options import NetworkOptions
from normlab.cli.groups.rank_options import RankOptions
from normlab.cli.groups.step_options import StepOptions
from normlab.cli.options import (
    Device,
    TrustPlugins,
    Yes,
    split_factor,
    split_list,
    split_numbers,
)
from normlab.errors import UsageError
from normlab.limits import MAX_RATE

DEFAULT_NORMS = "bn,in,bin,ln,gn,none,torch-bn"


@dataclass(frozen=True)
class OptionGroup:
    """Options that are given and used together."""

    HEADING: ClassVar[str] = "Options"
    """Above them in --help."""


@dataclass(frozen=True)
class FactorOptions(OptionGroup):
    """What is compared with what: each option lists the levels of a factor."""

    HEADING: ClassVar[str] = "Factors"
    norms: Annotated[str, typer.Option(help="Arms, with commas: bn,gn:groups=4,bn as twin,…")] = (
        DEFAULT_NORMS
    )
    optimizers: Annotated[str, typer.Option(help="sgd, rmsprop, adam, adamw.")] = "sgd"
    learning_rates: Annotated[str, typer.Option(help="With commas.")] = "0.02"
    batch_sizes: Annotated[str, typer.Option(help="With commas.")] = "32"
    vary: Annotated[
        list[str] | None,
        typer.Option(
            help="One more factor, of any key of [training]: augmentation=none,light or "
            "network=cifar-resnet8,cifar-resnet20. May be repeated.",
            show_default="none",
        ),
    ] = None
    compared: Annotated[
        str, typer.Option("--compare", help="The factor whose levels are the arms.")
    ] = "norm"

    def levels(self) -> dict[str, Any]:
        """The levels of each factor, as a plan has them.

        Raises:
            UsageError: a rate or a batch size is no number.
        """
        return {
            "norm": split_list(self.norms),
            "optimizer": split_list(self.optimizers),
            "learning_rate": split_numbers(self.learning_rates, float, "--learning-rates"),
            "batch_size": split_numbers(self.batch_sizes, int, "--batch-sizes"),
            "training": dict(split_factor(text) for text in self.vary or ()),
        }


@dataclass(frozen=True)
class CellOptions(OptionGroup):
    """The one combination of levels that a single run has."""

    HEADING: ClassVar[str] = "Run"
    norm: Annotated[str, typer.Option(help="The normalization.")] = "bn"
    optimizer: Annotated[str, typer.Option(help="sgd, rmsprop, adam, adamw.")] = "sgd"
    learning_rate: Annotated[float, typer.Option(help="Its peak.")] = 0.02
    batch_size: Annotated[int, typer.Option(min=1, help="Images a step.")] = 32

    def levels(self) -> dict[str, Any]:
        """One level of each factor, as a plan has them."""
        return {
            "norm": [self.norm],
            "optimizer": [self.optimizer],
            "learning_rate": [self.learning_rate],
            "batch_size": [self.batch_size],
        }


TWO_RUNGS_FROM = 6
"""Points in a block from which on the better third is trained longer."""


@dataclass(frozen=True)
class StudyOptions(OptionGroup):
    """How large the study is, and how the learning rates are found."""

    HEADING: ClassVar[str] = "Study"
    blocks: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Repeats of every arm, each with its own split and seeds.",
            show_default="what the budget allows",
        ),
    ] = None
    budget: Annotated[
        str | None,
        typer.Option(
            help="10m, 1h, night: chooses what of blocks, epochs and size is left out, and ends "
            "in time.",
            show_default="plans for 1h",
        ),
    ] = None
    tune: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Learning rates that every arm tries in every block; 0: none, and all share one.",
            show_default="4, if no rate is given and the budget has room",
        ),
    ] = None
    tune_once: Annotated[
        bool,
        typer.Option(
            "--tune-once",
            help="Find the rates once, before the comparison, instead of anew in every block: its "
            "luck is then in all blocks, and the verdict is exploratory.",
        ),
    ] = False
    tune_range: Annotated[str, typer.Option(help="Lowest and highest of them.")] = "0.001,1"
    recipe: Annotated[
        str | None,
        typer.Option(
            help="The course's normalization, optimizer or batch-size study.", show_default="none"
        ),
    ] = None
    scale: Annotated[str, typer.Option(help="Of a recipe: small or course.")] = "small"

    def tuning(self) -> dict[str, Any] | None:
        """How the arms find their learning rates, as a plan has it; None: they share one.

        Raises:
            UsageError: the range has not two rising numbers above 0.
        """
        numbers = split_numbers(self.tune_range, float, "--tune-range")
        if len(numbers) != 2 or not 0 < numbers[0] < numbers[1] <= MAX_RATE:
            raise UsageError(
                "--tune-range takes the lowest and the highest rate, above 0 and at most "
                f"{MAX_RATE:g}; got {self.tune_range!r}"
            )
        if not self.tune:
            return None
        scope = "study" if self.tune_once else "block"
        rungs = 2 if self.tune >= TWO_RUNGS_FROM and scope == "block" else 1
        return {"scope": scope, "points": self.tune, "rungs": rungs, "learning_rate": numbers}


@dataclass(frozen=True)
class AnalysisOptions(OptionGroup):
    """How the answer is judged, fixed before the first run."""

    HEADING: ClassVar[str] = "Analysis"
    reference: Annotated[
        str | None,
        typer.Option(
            help="The arm that the others are compared with.",
            show_default="bn, else the first arm",
        ),
    ] = None
    metric: Annotated[str, typer.Option(help="accuracy, loss, micro_f1 or macro_f1.")] = "accuracy"
    margin: Annotated[
        float | None,
        typer.Option(
            help="Differences inside ± margin are practically equal.",
            show_default="a tenth of the reference's first error, at least two images",
        ),
    ] = None
    alpha: Annotated[float, typer.Option(help="Chance of a false decision in a setting.")] = 0.05
    looks: Annotated[
        str | None,
        typer.Option(
            help="Blocks after which to judge: 4,7,10.", show_default="every one from the third on"
        ),
    ] = None


@dataclass(frozen=True)
class ImageOptions(OptionGroup):
    """How images are scaled, and which of them stay on one side of every split."""

    HEADING: ClassVar[str] = "Images"
    image_size: Annotated[
        int | None,
        typer.Option(
            help="Side of the square images, in pixels.",
            show_default="theirs, at most 64",
        ),
    ] = None
    resize: Annotated[str, typer.Option(help="squash, fit (letterbox) or crop (centre).")] = (
        "squash"
    )
    copies: Annotated[
        str,
        typer.Option(
            help="Kept on one side of every split: exact, duplicates, or look-alikes (all pairs)."
        ),
    ] = "duplicates"
    pairs: Annotated[
        Path | None,
        typer.Option(
            help="A pairs.csv of `normlab check` with your decisions.", show_default="none"
        ),
    ] = None


@dataclass(frozen=True)
class SourceOptions(OptionGroup):
    """How the source of the images is opened."""

    HEADING: ClassVar[str] = "Images"
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a source with unreadable files.")
    ] = False
    download: Annotated[
        bool,
        typer.Option("--download", help="Fetch torchvision:NAME or hf:NAME if it is not here."),
    ] = False


@dataclass(frozen=True)
class TrainingOptions(NetworkOptions, StepOptions, RankOptions, OptionGroup):
    """What all arms share in training."""

    HEADING: ClassVar[str] = "Training"
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Epochs of every run.", show_default="what the budget allows, or 10"
        ),
    ] = None
    schedule: Annotated[
        str, typer.Option(help="constant, step, multistep, cosine or onecycle.")
    ] = "onecycle"
    augmentation: Annotated[
        str | None,
        typer.Option(
            help="none, light, standard, strong, or parts: mirror+shift+crop+…",
            show_default="light",
        ),
    ] = None
    weight_decay: Annotated[
        float, typer.Option(help="On weights; scales, shifts and gates have none.")
    ] = 5e-4
    patience: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Stop after so many epochs without a better validation accuracy.",
            show_default="never",
        ),
    ] = None
    precision: Annotated[str, typer.Option(help="float32, or bfloat16 (autocast).")] = "float32"
    seed: Annotated[int, typer.Option(help="Root of all random streams.")] = 0


@dataclass(frozen=True)
class RunningOptions(OptionGroup):
    """Where and how the runs are computed; no result but its time depends on these."""

    HEADING: ClassVar[str] = "Running"
    device: Device = "auto"
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic", help="Only algorithms that give the same bits every time; slower."
        ),
    ] = False
    compiled: Annotated[
        bool,
        typer.Option(
            "--compile",
            help="Steps by torch.compile, which takes a while at the start of every run.",
        ),
    ] = False
    live: Annotated[
        bool | None,
        typer.Option(
            "--live/--no-live",
            help="The page on this machine while the study runs.",
            show_default="where there is a terminal",
        ),
    ] = None
    yes: Yes = False


@dataclass(frozen=True)
class ProbeOptions(OptionGroup):
    """Whether a study is tried for some seconds first."""

    HEADING: ClassVar[str] = "Running"
    no_probe: Annotated[
        bool,
        typer.Option(
            "--no-probe",
            help="Leave out the short run before a study that says whether it learns at all.",
        ),
    ] = False


@dataclass(frozen=True)
class ParallelOptions(OptionGroup):
    """How many runs are computed at the same time."""

    HEADING: ClassVar[str] = "Running"
    jobs: Annotated[str, typer.Option(help="Runs at once, or auto: as many as pay.")] = "1"


@dataclass(frozen=True)
class ExecutorOptions(OptionGroup):
    """Who makes the runs."""

    HEADING: ClassVar[str] = "Running"
    executor: Annotated[
        str | None,
        typer.Option(
            help="Who makes the runs: inline, processes, …; see normlab executors.",
            show_default="inline; with several jobs processes",
        ),
    ] = None


@dataclass(frozen=True)
class TrackOptions(OptionGroup):
    """Where the study is sent to."""

    HEADING: ClassVar[str] = "Running"
    track: Annotated[
        list[str] | None,
        typer.Option(
            help="mlflow, wandb or tensorboard, with where: mlflow:http://127.0.0.1:5000. May be "
            "repeated.",
            show_default="none",
        ),
    ] = None


@dataclass(frozen=True)
class ContinueOptions(OptionGroup):
    """How a study is gone on with."""

    blocks: Annotated[
        int | None,
        typer.Option(min=1, help="Extend to so many blocks.", show_default="those of the plan"),
    ] = None
    data: Annotated[
        str | None,
        typer.Option(help="Where the images are now.", show_default="where the plan says"),
    ] = None
    out: Annotated[
        Path | None,
        typer.Option(help="The folder of a new study.", show_default="NAME-study"),
    ] = None
    budget: Annotated[
        str | None,
        typer.Option(
            help="10m, 1h, night: then runs stop, to go on another time.", show_default="none"
        ),
    ] = None
    trust_plugins: TrustPlugins = False


@dataclass(frozen=True)
class PluginOptions(OptionGroup):
    """Parts of one's own."""

    HEADING: ClassVar[str] = "Study"
    plugin: Annotated[
        list[str] | None,
        typer.Option(
            help="A module that registers norms of your own; may be repeated.", show_default="none"
        ),
    ] = None
