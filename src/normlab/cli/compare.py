"""`normlab compare`: from a folder of images to the answer, in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from normlab.cli import options
from normlab.data.locations import DEMO, resolved, short_name
from normlab.errors import UsageError

DEFAULT_NORMS = "bn,in,bin,ln,gn,none,torch-bn"


def compare(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A folder with a folder per class, a CSV/TSV table, a zip or tar, an .npz, "
            "CIFAR's batches, torchvision:NAME or hf:NAME."
        ),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Use scikit-learn's digits as the images.")
    ] = False,
    norms: Annotated[str, typer.Option(help="Arms, with commas: bn,gn:groups=4,…")] = DEFAULT_NORMS,
    optimizers: Annotated[str, typer.Option(help="sgd, rmsprop, adam, adamw.")] = "sgd",
    learning_rates: Annotated[str, typer.Option(help="With commas.")] = "0.02",
    batch_sizes: Annotated[str, typer.Option(help="With commas.")] = "32",
    blocks: Annotated[
        int | None, typer.Option(min=1, help="Repeats, each with its own split and seeds.")
    ] = None,
    epochs: options.Epochs = None,
    image_size: options.ImageSize = None,
    resize: options.Resize = "squash",
    copies: options.Copies = "near",
    model: options.Model = "resnet14",
    budget: Annotated[
        str | None,
        typer.Option(help="10m, 1h, night: chooses blocks, epochs and size (1h if none is given)."),
    ] = None,
    schedule: options.Schedule = "onecycle",
    augmentation: Annotated[
        str | None,
        typer.Option(help="none, light, standard, strong, or parts: mirror+shift+crop+…"),
    ] = None,
    weight_decay: options.WeightDecay = 5e-4,
    patience: options.Patience = None,
    precision: options.Precision = "float32",
    reference: Annotated[
        str | None, typer.Option(help="The arm that the others are compared with.")
    ] = None,
    margin: Annotated[
        float, typer.Option(help="Differences inside ± margin are practically equal.")
    ] = 0.01,
    seed: options.Seed = 0,
    out: Annotated[Path | None, typer.Option(help="The study's folder.")] = None,
    device: options.Device = "auto",
    strict: options.Strict = False,
    download: options.Download = False,
    yes: options.Yes = False,
) -> None:
    """Train every norm under equal conditions and say which is better, and how sure that is."""
    from normlab.cli.study_session import StudyRequest, conduct
    from normlab.records.plan import parse_plan

    if demo == (source is not None):
        raise UsageError("give a folder of images, or --demo: normlab compare photos/")
    location = DEMO if source is None else resolved(source)
    options.fetch(location, download=download)
    arms = options.split_list(norms)
    if demo:
        blocks, epochs, image_size = blocks or 3, epochs or 8, image_size or 16
    plan = parse_plan(
        {
            "name": short_name(location),
            "seed": seed,
            "blocks": blocks or 3,
            "data": {
                "source": location,
                "image_size": image_size or default_image_size(location),
                "resize": resize,
                "copies": copies,
            },
            "factors": {
                "norm": arms,
                "optimizer": options.split_list(optimizers),
                "learning_rate": options.split_numbers(learning_rates, float, "--learning-rates"),
                "batch_size": options.split_numbers(batch_sizes, int, "--batch-sizes"),
            },
            "training": {
                "network": {"name": model},
                "epochs": epochs or 10,
                "schedule": schedule,
                "augmentation": augmentation or ("shift" if demo else "light"),
                "weight_decay": weight_decay,
                "patience": patience,
                "precision": precision,
            },
            "analysis": {
                "reference": reference or ("bn" if "bn" in arms else arms[0] if arms else "bn"),
                "margin": margin,
            },
        },
        where="the command",
    )
    chosen = {"blocks": blocks, "epochs": epochs, "image_size": image_size}
    conduct(
        StudyRequest(
            plan=plan,
            folder=out or Path(f"{'demo' if demo else short_name(location)}-study"),
            chosen={name: value for name, value in chosen.items() if value is not None},
            budget=budget,
            device=options.choose_device(device),
            strict=strict,
            yes=yes,
        )
    )


def default_image_size(location: str) -> int:
    """64 px, or what the images have where that is less, rounded up to a multiple of 8."""
    from normlab.data.dataset import typical_size

    return min(64, max(16, -(-typical_size(location) // 8) * 8))
