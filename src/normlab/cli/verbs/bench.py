"""`normlab bench`: what a training step costs here with every norm, and what serves the sweeps."""

from __future__ import annotations

from typing import Annotated

import typer

from normlab.cli import options
from normlab.cli.option_groups import DEFAULT_NORMS
from normlab.cli.screen.echo import echo
from normlab.errors import UsageError
from normlab.limits import MAX_BATCH_SIZE


def bench(
    backends_only: Annotated[
        bool, typer.Option("--where", help="Only say which backend serves which device.")
    ] = False,
    norms: Annotated[str, typer.Option(help="Arms, with commas: bn,gn:groups=4,…")] = DEFAULT_NORMS,
    model: options.Model = "cifar-resnet14",
    image_size: Annotated[
        int, typer.Option(min=1, max=4096, help="Side of the images, in pixels.")
    ] = 64,
    batch_size: Annotated[
        int, typer.Option(min=1, max=MAX_BATCH_SIZE, help="Images of a step.")
    ] = 32,
    rounds: Annotated[
        int, typer.Option(min=1, max=10_000, help="Steps of each arm, in turns.")
    ] = 10,
    device: options.Device = "auto",
) -> None:
    """Time one training step of a network with every norm, interleaved, on random images."""
    import torch

    from normlab.norms.functional import planes  # noqa: F401 - its import loads the kernel
    from normlab.norms.fused.cpu import loader

    echo(f"cpu       {loader.backend('cpu')}, {torch.get_num_threads()} threads")
    if (path := loader.library_path()) is not None:
        echo(f"          {path}")
    if torch.cuda.is_available():
        echo(f"cuda      {loader.backend('cuda')}, {torch.cuda.get_device_name()}")
    else:
        echo("cuda      no device here")
    if backends_only:
        return
    from normlab.cli.step_times import step_times

    arms = options.split_list(norms)
    if not arms:
        raise UsageError("there is no norm to time; give some with --norms bn,gn")
    place = options.choose_device(device)
    times = step_times(arms, model, image_size, batch_size, rounds, place)
    base = times.get("none")
    echo(f"\n{model}, batch {batch_size} of {image_size} px, on {place}: median of {rounds} steps")
    width = max(len(arm) for arm in arms) + 2
    for arm in arms:
        relative = f"  {times[arm] / base:5.2f} × none" if base else ""
        rate = batch_size / times[arm]
        echo(f"  {arm:<{width}}{times[arm] * 1e3:8.1f} ms{rate:8.0f} images/s{relative}")
