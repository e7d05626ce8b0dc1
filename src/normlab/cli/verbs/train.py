"""`normlab train`: one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from normlab.cli import options
from normlab.data.locations import resolved, short_name


def train(
    source: Annotated[str, typer.Argument(help="What compare takes; or demo:digits.")],
    norm: Annotated[str, typer.Option(help="The normalization.")] = "bn",
    optimizer: Annotated[str, typer.Option(help="sgd, rmsprop, adam, adamw.")] = "sgd",
    learning_rate: Annotated[float, typer.Option(help="Its peak.")] = 0.02,
    batch_size: Annotated[int, typer.Option(min=1, help="Images a step.")] = 32,
    epochs: options.Epochs = 10,
    image_size: options.ImageSize = None,
    resize: options.Resize = "squash",
    copies: options.Copies = "near",
    model: options.Model = "resnet14",
    schedule: options.Schedule = "onecycle",
    augmentation: options.Augmentation = "light",
    weight_decay: options.WeightDecay = 5e-4,
    patience: options.Patience = None,
    precision: options.Precision = "float32",
    seed: options.Seed = 0,
    out: Annotated[Path | None, typer.Option(help="The folder, a study of one run.")] = None,
    device: options.Device = "auto",
    deterministic: options.Deterministic = False,
    compiled: options.Compile = False,
    strict: options.Strict = False,
    download: options.Download = False,
    yes: options.Yes = False,
) -> None:
    """Train one network; the folder is a study with one arm and one block."""
    from normlab.cli.study_session import StudyRequest, conduct
    from normlab.cli.verbs.compare import default_image_size
    from normlab.records.plan import parse_plan

    location, name = resolved(source), short_name(source)
    options.fetch(location, download=download)
    plan = parse_plan(
        {
            "name": name,
            "seed": seed,
            "blocks": 1,
            "data": {
                "source": location,
                "image_size": image_size or default_image_size(location),
                "resize": resize,
                "copies": copies,
            },
            "factors": {
                "norm": [norm],
                "optimizer": [optimizer],
                "learning_rate": [learning_rate],
                "batch_size": [batch_size],
            },
            "training": {
                "network": {"name": model},
                "epochs": epochs,
                "schedule": schedule,
                "augmentation": augmentation,
                "weight_decay": weight_decay,
                "patience": patience,
                "precision": precision,
            },
            "analysis": {"reference": norm},
        },
        where="the command",
    )
    conduct(
        StudyRequest(
            plan=plan,
            folder=out or Path(f"{name}-{norm.replace(':', '-')}-run"),
            chosen={"blocks": 1, "epochs": plan.training.epochs},
            budget=None,
            device=options.choose_device(device, deterministic=deterministic),
            compiled=compiled,
            strict=strict,
            yes=yes,
        )
    )
