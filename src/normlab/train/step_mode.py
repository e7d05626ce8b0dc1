"""How the steps of a training are computed; in a module of its own, which needs no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StepMode:
    """How the steps of a training are computed."""

    graph: bool = True
    """On a GPU as CUDA graphs: the same numbers."""
    compiled: bool = False
    """Whether torch.compile makes the steps, normlab's operators inside: equal up to rounding."""


DEFAULT_STEPS = StepMode()
