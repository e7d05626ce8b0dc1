"""Whether an export says of pictures what the run said of them.

A run's probabilities p and those of an export are two ways to compute one function in float32. With
p₆₄ those of the same network in float64, its rounding error is r = max |p − p₆₄|, and an export
that is as exact as the run may differ from it by 2r. Of most networks that is far under 1e-5; of
some it is not, and to be within 1e-5 would be luck.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8

from normlab.errors import UsageError
from normlab.serving.predictor import Predictor

PICTURES = 200
CLOSE = 1e-5
"""How far probabilities may be from the run's, where its rounding is under half of that."""
FURTHEST = 1e-4
"""How far they may be at most: a run whose rounding is as large says little of its export."""
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


@torch.inference_mode()
def rounding_error(predictor: Predictor, pictures: UInt8[np.ndarray, "n s s 3"]) -> float:
    """max |p − p₆₄| over pictures and classes, both computed here; 0 where float64 is refused.

    p is not that of the records: what else may be wrong with those is no rounding.
    """
    mean, std = predictor.mean.double(), predictor.std.double()
    found = []
    try:
        network = copy.deepcopy(predictor.network).double()
        for start in range(0, len(pictures), BATCH):
            pixels = torch.from_numpy(pictures[start : start + BATCH]).double()
            logits = network(((pixels / 255 - mean) / std).permute(0, 3, 1, 2))
            found.append(logits.softmax(1).numpy())
    except RuntimeError:  # a layer that computes in float32 alone
        return 0.0
    single = np.stack(list(predictor.probabilities(iter(pictures))))
    return float(np.abs(np.concatenate(found) - single).max())


def allowed(rounding: float) -> float:
    """How far an export may be from a run of this rounding error.

    >>> allowed(1e-7), allowed(8e-6), allowed(1e-2)
    (1e-05, 1.6e-05, 0.0001)
    """
    return max(CLOSE, min(2 * rounding, FURTHEST))


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
