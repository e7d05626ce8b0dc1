"""What a step of the training is made of, and which weights are evaluated after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from normlab.limits import MAX_BATCH_SIZE


@dataclass(frozen=True)
class StepOptions:
    """Accumulated gradients, averaged weights, statistics at rest."""

    accumulate: Annotated[
        int,
        typer.Option(
            min=1,
            max=MAX_BATCH_SIZE,
            help="Batches whose gradients make one step; norms see one batch at a time.",
        ),
    ] = 1
    ema: Annotated[
        float | None,
        typer.Option(
            help="Evaluate an exponential moving average of the weights with this decay.",
            show_default="the weights themselves",
        ),
    ] = None
    precise_statistics: Annotated[
        bool,
        typer.Option(
            "--precise-statistics",
            help="After training, measure running statistics anew for the weights at rest.",
        ),
    ] = False
