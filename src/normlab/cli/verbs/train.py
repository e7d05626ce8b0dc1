"""`normlab train`: one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from normlab.cli.expand import expand_groups
from normlab.cli.option_groups import (
    AnalysisOptions,
    CellOptions,
    ExecutorOptions,
    ImageOptions,
    PluginOptions,
    RunningOptions,
    SourceOptions,
    TrackOptions,
    TrainingOptions,
)
from normlab.cli.options import choose_device, fetch
from normlab.data.locations import resolved


@expand_groups
def train(
    source: Annotated[str, typer.Argument(help="What compare takes; or demo:digits.")],
    out: Annotated[
        Path | None,
        typer.Option(help="The folder, a study of one run.", show_default="NAME-NORM-run"),
    ] = None,
    *,
    cell: CellOptions,
    images: ImageOptions,
    opening: SourceOptions,
    training: TrainingOptions,
    running: RunningOptions,
    executing: ExecutorOptions,
    plugins: PluginOptions,
    tracking: TrackOptions,
) -> None:
    """Train one network; the folder is a study with one arm and one block."""
    from normlab.cli.session.conduct import conduct
    from normlab.cli.session.sizing import StudyRequest
    from normlab.cli.study_plan import study_plan

    location = resolved(source)
    fetch(location, download=opening.download)
    plan = study_plan(
        location,
        cell.levels(),
        images=images,
        training=training,
        analysis=AnalysisOptions(reference=cell.norm),
        blocks=1,
        plugins=plugins.plugin or (),
        track=tracking.track or (),
        several=False,
    )
    conduct(
        StudyRequest(
            plan=plan,
            folder=out or Path(f"{plan.name}-{cell.norm.replace(':', '-')}-run"),
            chosen={"blocks": 1, "epochs": plan.training.epochs},
            budget=None,
            device=choose_device(running.device, deterministic=running.deterministic),
            compiled=running.compiled,
            live=running.live,
            strict=opening.strict,
            yes=running.yes,
            probing=False,
            executor=executing.executor,
        )
    )
