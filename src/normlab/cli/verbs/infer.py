"""`normlab infer`: the course's inference program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from normlab.cli import options
from normlab.cli.screen.echo import echo
from normlab.errors import UsageError


def infer(
    model_file: Annotated[
        Path,
        typer.Option(
            "--model_file", "--model-file", "-model_file",
            help="A run's weights.safetensors, or a state dict of your version of the network.",
        ),
    ],
    normalization: Annotated[
        str,
        typer.Option(
            "--normalization", "-normalization",
            help="bn, in, bin, ln, gn, nn (none) or inbuilt (torch's), or as in gn:groups=4.",
        ),
    ],
    test_data_file: Annotated[
        Path,
        typer.Option(
            "--test_data_file", "--test-data-file", "-test_data_file",
            help="3072 values of 0 to 255 a line, channel by channel, without a header.",
        ),
    ],
    output_file: Annotated[
        Path,
        typer.Option(
            "--output_file", "--output-file", "-output_file",
            help="One class id a line, in the same order.",
        ),
    ],
    n: Annotated[
        int | None,
        typer.Option("--n", "-n", min=1, max=1000, help="Blocks a stage, as the weights have."),
    ] = None,
    mean: Annotated[
        str, typer.Option(help="Of each channel, of values / 255: 0.49,0.48,0.45 for CIFAR-10.")
    ] = "",
    std: Annotated[str, typer.Option(help="The same for the deviation: 0.25,0.24,0.26.")] = "",
    device: options.Device = "auto",
) -> None:  # fmt: skip
    """Classify a CSV of pixels with weights of any version of the course's network.

    The classes r, the shortcuts (option A or B) and the layout are found in the weights, by shapes
    rather than names; no code in the file is run. What was found is said.
    """
    from normlab.serving.course.program import infer as run_program

    lines = run_program(
        model_file,
        normalization,
        n,
        test_data_file,
        output_file,
        mean=_numbers(mean, "--mean"),
        std=_numbers(std, "--std"),
        device=options.choose_device(device),
        say=lambda line: echo(line, err=True),
    )
    echo(f"written  {output_file}, {lines:,} lines", err=True)


def _numbers(text: str, name: str) -> tuple[float, ...]:
    try:
        return tuple(float(piece) for piece in text.split(",") if piece.strip())
    except ValueError:
        raise UsageError(f"{name} is three numbers with commas, got {text!r}") from None
