"""`normlab compare`: from a folder of images to the answer, in one command; `plan` stops before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from normlab.cli import options
from normlab.data.locations import DEMO, resolved, short_name
from normlab.errors import UsageError

DEFAULT_NORMS = "bn,in,bin,ln,gn,none,torch-bn"
PLAN_HELP = "Write the plan of a comparison, frozen and hashed; start it with: normlab run."


def compare(
    context: typer.Context,
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
    norms: Annotated[
        str, typer.Option(help="Arms, with commas: bn,gn:groups=4,bn as twin,…")
    ] = DEFAULT_NORMS,
    optimizers: Annotated[str, typer.Option(help="sgd, rmsprop, adam, adamw.")] = "sgd",
    learning_rates: Annotated[str, typer.Option(help="With commas.")] = "0.02",
    batch_sizes: Annotated[str, typer.Option(help="With commas.")] = "32",
    vary: Annotated[
        list[str] | None,
        typer.Option(help="One more factor out of [training]: augmentation=none,light"),
    ] = None,
    compared: Annotated[
        str, typer.Option("--compare", help="The factor whose levels are the arms.")
    ] = "norm",
    blocks: Annotated[
        int | None, typer.Option(min=1, help="Repeats, each with its own split and seeds.")
    ] = None,
    looks: Annotated[
        str | None,
        typer.Option(help="Blocks after which to judge: 4,7,10 (from 8 blocks on by default)."),
    ] = None,
    tune: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Learning rates that every arm tries first; 0: none, and all share one. Left out: "
            "4, if no rate is given and the budget has room for them.",
        ),
    ] = None,
    tune_range: Annotated[str, typer.Option(help="Lowest and highest of them.")] = "0.001,1",
    epochs: options.Epochs = None,
    image_size: options.ImageSize = None,
    resize: options.Resize = "squash",
    copies: options.Copies = "near",
    model: options.Model = "resnet14",
    recipe: Annotated[
        str | None, typer.Option(help="The course's normalization, optimizer or batch-size study.")
    ] = None,
    scale: Annotated[str, typer.Option(help="Of a recipe: small or course.")] = "small",
    budget: Annotated[
        str | None,
        typer.Option(help="10m, 1h, night: chooses blocks, epochs and size, and ends in time."),
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
    metric: Annotated[str, typer.Option(help="accuracy, loss, micro_f1 or macro_f1.")] = "accuracy",
    margin: Annotated[
        float, typer.Option(help="Differences inside ± margin are practically equal.")
    ] = 0.01,
    alpha: Annotated[float, typer.Option(help="Chance of a false decision in a setting.")] = 0.05,
    seed: options.Seed = 0,
    out: Annotated[Path | None, typer.Option(help="The study's folder.")] = None,
    device: options.Device = "auto",
    deterministic: options.Deterministic = False,
    compiled: options.Compile = False,
    jobs: options.Jobs = "1",
    strict: options.Strict = False,
    download: options.Download = False,
    yes: options.Yes = False,
) -> None:
    """Train every norm under equal conditions and say which is better, and how sure that is."""
    from normlab.cli.study_session import StudyRequest, conduct
    from normlab.records.plan import parse_plan
    from normlab.study.recipes import recipe as find_recipe

    if demo == (source is not None):
        raise UsageError("give a folder of images, or --demo: normlab compare photos/")
    location = DEMO if source is None else resolved(source)
    options.fetch(location, download=download)
    values: dict[str, Any] = {
        "norm": options.split_list(norms),
        "optimizer": options.split_list(optimizers),
        "learning_rate": options.split_numbers(learning_rates, float, "--learning-rates"),
        "batch_size": options.split_numbers(batch_sizes, int, "--batch-sizes"),
        "blocks": blocks,
        "epochs": epochs,
        "image_size": image_size,
        "schedule": schedule,
    }
    if recipe is not None:
        found = find_recipe(recipe, scale)
        values |= {name: value for name, value in found.items() if not _given(context, name)}
    elif demo:
        small = {"blocks": 3, "epochs": 8, "image_size": 16}
        values |= {name: values[name] or value for name, value in small.items()}
    further = dict(options.split_factor(text) for text in vary or ())
    plan = parse_plan(
        {
            "name": short_name(location),
            "seed": seed,
            "blocks": values["blocks"] or 3,
            "data": {
                "source": location,
                "image_size": values["image_size"] or default_image_size(location),
                "resize": resize,
                "copies": copies,
            },
            "factors": {
                **{name: values[name] for name in ("norm", "optimizer", "learning_rate")},
                "batch_size": values["batch_size"],
                "training": further,
            },
            **(_tuning(tune, tune_range) if tune else {}),
            "training": {
                "network": {"name": model},
                "epochs": values["epochs"] or 10,
                "schedule": values["schedule"],
                "augmentation": augmentation or ("shift" if demo else "light"),
                "weight_decay": weight_decay,
                "patience": patience,
                "precision": precision,
            },
            "analysis": {
                "compare": compared,
                "reference": reference or "",
                "metric": metric,
                "margin": margin,
                "alpha": alpha,
                "looks": options.split_numbers(looks, int, "--looks") if looks else (),
            },
        },
        where="the command",
    )
    chosen = {name: values[name] for name in ("blocks", "epochs", "image_size")}
    conduct(
        StudyRequest(
            plan=plan,
            folder=out or Path(f"{'demo' if demo else short_name(location)}-study"),
            chosen={name: value for name, value in chosen.items() if value is not None},
            budget=budget,
            device=options.choose_device(device, deterministic=deterministic),
            jobs=jobs,
            compiled=compiled,
            strict=strict,
            yes=yes,
            tuning_if_it_fits=tune is None
            and recipe is None
            and compared != "learning_rate"
            and not _given(context, "learning_rate"),
        ),
        plan_only=context.info_name == "plan",
    )


def default_image_size(location: str) -> int:
    """64 px, or what the images have where that is less, rounded up to a multiple of 8."""
    from normlab.data.dataset import typical_size

    return min(64, max(16, -(-typical_size(location) // 8) * 8))


def _given(context: typer.Context, name: str) -> bool:
    """Whether the user gave an option (norm: --norms)."""
    options_of = {name, f"{name}s"} & context.params.keys()
    sources = (context.get_parameter_source(option) for option in options_of)
    return any(source is not None and source.name == "COMMANDLINE" for source in sources)


def _tuning(points: int, text: str) -> dict[str, Any]:
    numbers = options.split_numbers(text, float, "--tune-range")
    if len(numbers) != 2:
        raise UsageError(f"--tune-range takes the lowest and the highest rate, got {text!r}")
    return {"tuning": {"points": points, "learning_rate": numbers}}
