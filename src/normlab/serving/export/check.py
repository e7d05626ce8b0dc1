"""Whether an export says of pictures what the run said of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from normlab.errors import UsageError

PICTURES = 200
Answers = Callable[[UInt8[np.ndarray, "n s s 3"]], Float[np.ndarray, "n classes"]]
BATCH = 32


@dataclass(frozen=True, eq=False)
class CheckPictures:
    """Pictures, and the probabilities that an export must give for them."""

    pictures: UInt8[np.ndarray, "n s s 3"]
    probabilities: Float[np.ndarray, "n classes"]
    origin: str
    """What they are, in words."""


def largest_difference(answers: Answers, check: CheckPictures) -> float:
    """The largest |p − p of the run| over all pictures and classes."""
    found = [
        answers(check.pictures[start : start + BATCH])
        for start in range(0, len(check.pictures), BATCH)
    ]
    return float(np.abs(np.concatenate(found) - check.probabilities).max())


def check_close(name: str, difference: float, tolerance: float, precision: str) -> None:
    """Raise a UsageError where an export is not what the run was."""
    if difference <= tolerance:
        return
    why = f" (the run computed in {precision})" if precision != "float32" else ""
    raise UsageError(
        f"{name} cannot be exact: its probabilities differ from the run's by up to "
        f"{difference:.1e}{why}, and {tolerance:g} is allowed; nothing was written, and "
        f"--tolerance {_rounded_up(difference):g} would accept it"
    )


def _rounded_up(value: float) -> float:
    """The next number of one digit.

    >>> _rounded_up(0.0023)
    0.003
    """
    power = 10.0 ** np.floor(np.log10(value))
    return float(np.round(np.ceil(value / power) * power, 12))
