"""`normlab import-weights`: weights of another version of the course's network as ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from normlab.cli.options import split_numbers
from normlab.cli.screen.echo import echo


def import_weights(
    file: Annotated[
        Path, typer.Argument(help="A state dict: .safetensors, or what torch.save wrote.")
    ],
    normalization: Annotated[
        str, typer.Option(help="bn, in, bin, ln, gn, nn (none) or inbuilt, or as in gn:groups=4.")
    ],
    n: Annotated[
        int | None, typer.Option("--n", "-n", min=1, max=1000, help="Blocks a stage.")
    ] = None,
    classes: Annotated[str, typer.Option(help="Names, in the order of the last layer.")] = "",
    image_size: Annotated[int, typer.Option(min=8, max=1024, help="Pixels of a side.")] = 32,
    mean: Annotated[str, typer.Option(help="Of each channel, of values / 255.")] = "",
    std: Annotated[str, typer.Option(help="The same for the deviation.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="The folder to make.", show_default="FILE-weights")
    ] = None,
) -> None:
    """Make weights of any version of the course's network into weights of normlab's.

    The layout is found by the shapes of the tensors, not by names; no code in the file is run. What
    was matched is said, and both networks are held against each other on random images.
    """
    from normlab.errors import UsageError
    from normlab.serving.course.imported import import_weights as write

    out = out or Path(f"{file.stem}-weights")
    if out.exists():
        raise UsageError(f"{out} exists; choose another folder with --out")
    found = write(
        file,
        normalization,
        out,
        n=n,
        classes=[name.strip() for name in classes.split(",") if name.strip()],
        image_size=image_size,
        mean=split_numbers(mean, float, "--mean"),
        std=split_numbers(std, float, "--std"),
    )
    echo(f"matched  {file}: {found}")
    if not mean:
        echo("input    values / 255; --mean and --std where it was trained on others")
    echo(f"written  {out} · in Python: normlab.load({str(out)!r}).classify('one.jpg')")
