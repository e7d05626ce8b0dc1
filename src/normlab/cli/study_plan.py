"""From the options of compare, plan and train to the plan of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from functools import partial
from typing import Any, TypeVar

from normlab.cli.option_groups import (
    AnalysisOptions,
    ImageOptions,
    OptionGroup,
    StudyOptions,
    TrainingOptions,
)
from normlab.cli.option_names import option_of
from normlab.cli.options import split_numbers
from normlab.data.dataset import typical_size
from normlab.data.duplicates.near_duplicates import copy_level
from normlab.data.locations import short_name
from normlab.records.network import is_of_library, module_of
from normlab.records.plan import MARGIN_SHARE, StudyPlan, TrainingPlan, parse_plan

DEFAULT_BLOCKS = 3
DEFAULT_EPOCHS = 10
DEFAULT_AUGMENTATION = "light"
LARGEST_DEFAULT_SIZE = 64
"""Pixels; larger images are only used on demand."""
Group = TypeVar("Group", bound=OptionGroup)


def study_plan(
    location: str,
    levels: Mapping[str, Any],
    *,
    images: ImageOptions,
    training: TrainingOptions,
    analysis: AnalysisOptions,
    compared: str = "norm",
    blocks: int | None = None,
    tuning: Mapping[str, Any] | None = None,
    plugins: Sequence[str] = (),
    track: Sequence[str] = (),
    several: bool = True,
) -> StudyPlan:
    """The plan that the options describe; what nobody chose gets its default.

    Args:
        location: where the images are: an absolute path or a name.
        levels: the levels of each factor.
        images: how the images are scaled.
        training: what all arms share.
        analysis: how the answer is judged.
        compared: the factor whose levels are the arms.
        blocks: repeats of every arm.
        tuning: how the arms find their learning rates.
        plugins: modules that every process of the study imports first.
        track: trackers that the study is sent to.
        several: whether the options list several levels of a factor.

    Raises:
        PlanError: a value that a plan cannot have.
        UsageError: looks that are no numbers.
    """
    trained = {k: v for k, v in asdict(training).items() if k in TrainingPlan.model_fields}
    network = training.network()
    module = module_of(network["name"])
    plugins = (*plugins, module) if module and module not in plugins else tuple(plugins)
    return parse_plan(
        {
            "name": short_name(location),
            "seed": training.seed,
            "plugins": plugins,
            "track": tuple(dict.fromkeys(track)),
            "blocks": blocks or DEFAULT_BLOCKS,
            "data": {
                "source": location,
                "image_size": (wanted_size(network) or default_image_size(location))
                if images.image_size is None
                else images.image_size,
                "resize": images.resize,
                "copies": copy_level(images.copies),
                "pairs": str(images.pairs.resolve()) if images.pairs else "",
            },
            "factors": levels,
            "tuning": tuning,
            "training": {
                **trained,
                "network": network,
                "epochs": training.epochs or DEFAULT_EPOCHS,
                "augmentation": training.augmentation or DEFAULT_AUGMENTATION,
            },
            "analysis": {
                "compare": compared,
                "reference": analysis.reference or "",
                "metric": analysis.metric,
                **(
                    {"margin": analysis.margin}
                    if analysis.margin is not None
                    else {"margin_share": MARGIN_SHARE}
                ),
                "alpha": analysis.alpha,
                "looks": split_numbers(analysis.looks, int, "--looks") if analysis.looks else (),
            },
        },
        origin="",
        named=partial(option_of, several=several),
    )


def with_preset(group: Group, preset: Mapping[str, Any]) -> Group:
    """The options with the values that the preset has for them."""
    own = {field.name for field in fields(group)} & preset.keys()
    return replace(group, **{name: preset[name] for name in own})


def chosen_sizes(
    study: StudyOptions, images: ImageOptions, training: TrainingOptions
) -> dict[str, int]:
    """Blocks, epochs and image size, as far as they are chosen; a budget chooses the rest."""
    sizes = {
        "blocks": study.blocks,
        "epochs": training.epochs,
        "image_size": images.image_size,
    }
    return {name: size for name, size in sizes.items() if size is not None}


def wanted_size(network: Mapping[str, Any]) -> int | None:
    """The size that the weights of a network were trained on, or that it alone takes."""
    if not is_of_library(network["name"]) or module_of(network["name"]):
        return None
    from normlab.networks.libraries.factory import wanted_input

    wanted, options = wanted_input(network["name"]), network["options"]
    given = options.get("pretrained") or options.get("weights")
    return wanted.size if given or wanted.fixed_size else None


def default_image_size(location: str) -> int:
    """64 px, or what the images have where that is less, rounded up to a multiple of 8."""
    return min(LARGEST_DEFAULT_SIZE, max(16, -(-typical_size(location) // 8) * 8))
