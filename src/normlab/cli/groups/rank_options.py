"""How many processes train a run together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(frozen=True)
class RankOptions:
    """The ranks of every run."""

    ranks: Annotated[
        int,
        typer.Option(
            min=1, help="Processes that train every run together, a part of a batch each."
        ),
    ] = 1
    norm_batch: Annotated[
        str | None,
        typer.Option(
            help="With several ranks, a batch norm's batch: synchronized (that of all ranks) or "
            "local (each rank's own part).",
            show_default="must be said",
        ),
    ] = None
