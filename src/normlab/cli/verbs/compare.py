"""`normlab compare`: from a folder of images to the answer, in one command; `plan` stops before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from normlab.cli.expand import expand_groups
from normlab.cli.option_groups import (
    AnalysisOptions,
    ExecutorOptions,
    FactorOptions,
    ImageOptions,
    ParallelOptions,
    PluginOptions,
    ProbeOptions,
    RunningOptions,
    SourceOptions,
    StudyOptions,
    TrackOptions,
    TrainingOptions,
)
from normlab.cli.options import Out, Source, choose_device, fetch
from normlab.data.locations import DEMO, resolved
from normlab.errors import UsageError

DEMO_CHOICES: dict[str, Any] = {
    "blocks": 5,
    "epochs": 8,
    "image_size": 16,
    "model": "cifar-resnet8",
    "learning_rate": (0.02,),
}
"""Under three minutes on two idle cores; at this rate some arms are decided and some stay open."""

Resources = Annotated[
    bool, typer.Option("--resources", help="With plan: what a cluster would be asked for.")
]


@expand_groups
def compare(
    context: typer.Context,
    source: Source = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Use scikit-learn's digits as the images.")
    ] = False,
    out: Out = None,
    resources: Resources = False,
    *,
    factors: FactorOptions,
    study: StudyOptions,
    images: ImageOptions,
    opening: SourceOptions,
    training: TrainingOptions,
    analysis: AnalysisOptions,
    running: RunningOptions,
    parallel: ParallelOptions,
    executing: ExecutorOptions,
    probing: ProbeOptions,
    plugins: PluginOptions,
    tracking: TrackOptions,
) -> None:
    """Train every norm under equal conditions and say which is better, and how sure that is."""
    from normlab.cli.session.conduct import conduct
    from normlab.cli.session.sizing import StudyRequest
    from normlab.cli.study_plan import chosen_sizes, study_plan, with_preset

    plan_only = _plans_only(context, resources=resources)
    preset = _preset(context, study, demo)
    study, images = with_preset(study, preset), with_preset(images, preset)
    training = with_preset(training, preset)
    plan = study_plan(
        _location(source, demo, opening),
        {name: preset.get(name, level) for name, level in factors.levels().items()},
        images=images,
        training=training,
        analysis=analysis,
        compared=factors.compared,
        blocks=study.blocks,
        plugins=plugins.plugin or (),
        track=tracking.track or (),
        tuning=study.tuning(),
    )
    request = StudyRequest(
        plan=plan,
        folder=out or Path(f"{'demo' if demo else plan.name}-study"),
        chosen=chosen_sizes(study, images, training),
        budget=study.budget,
        device=choose_device(running.device, deterministic=running.deterministic),
        jobs=parallel.jobs,
        executor=executing.executor,
        compiled=running.compiled,
        live=running.live,
        strict=opening.strict,
        yes=running.yes,
        probing=not probing.no_probe,
        tuning_if_it_fits=_leaves_the_rate_open(context, study, factors),
    )
    conduct(request, plan_only=plan_only)
    if resources:
        _tell_needs(request.folder, request.device)


def _plans_only(context: typer.Context, *, resources: bool) -> bool:
    """Whether the verb is plan, which alone says what is needed."""
    plans = context.info_name == "plan"
    if resources and not plans:
        raise UsageError("--resources goes with plan: normlab plan photos/ --resources")
    return plans


def _tell_needs(folder: Path, device: str) -> None:
    from normlab.cli.screen.needs import tell_needs

    tell_needs(folder, device)


def _location(source: str | None, demo: bool, opening: SourceOptions) -> str:
    """Where the images are, fetched if that was asked for."""
    if demo == (source is not None):
        raise UsageError("give a folder of images, or --demo: normlab compare photos/")
    location = DEMO if source is None else resolved(source)
    fetch(location, download=opening.download)
    return location


def _preset(context: typer.Context, study: StudyOptions, demo: bool) -> Mapping[str, Any]:
    """What a recipe or the demo chooses, without what the user gave.

    Raises:
        UsageError: a scale without a recipe.
    """
    from normlab.study.recipes import recipe

    values: dict[str, Any] = dict(DEMO_CHOICES) if demo else {}
    if study.recipe is None and _given(context, "scale"):
        raise UsageError("--scale goes with --recipe; add one, or leave it out")
    if study.recipe is not None:
        values = recipe(study.recipe, study.scale)
    if demo:
        values["augmentation"] = "shift"  # a mirrored digit is no digit
    if _given(context, "n"):  # says which network, as --model does
        values.pop("model", None)
    return {name: value for name, value in values.items() if not _given(context, name)}


def _leaves_the_rate_open(
    context: typer.Context, study: StudyOptions, factors: FactorOptions
) -> bool:
    """Whether nothing that the user gave says which learning rates are used."""
    return (
        study.tune is None
        and study.recipe is None
        and factors.compared != "learning_rate"
        and not _given(context, "learning_rate")
    )


def _given(context: typer.Context, name: str) -> bool:
    """Whether the user gave an option (norm: --norms)."""
    options_of = {name, f"{name}s"} & context.params.keys()
    sources = (context.get_parameter_source(option) for option in options_of)
    return any(source is not None and source.name == "COMMANDLINE" for source in sources)
