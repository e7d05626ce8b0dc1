"""Loss, accuracy, micro F1 and macro F1 of one part of the data, by scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.metrics import accuracy_score, f1_score
from torch import Tensor

from normlab.records.run import Measures


@dataclass
class EpochSoFar:
    """What an epoch's training has shown up to a batch: all that the epoch's row needs of it."""

    steps: int = 0
    """Batches that the weights have learned from."""
    seconds: float = 0.0
    whole: bool = True
    """Whether the weights have been moved by all of them: no gradient waits for further batches."""
    found: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)
    """Losses, most probable classes and labels, each (n,), of every batch."""
    gradients: list[Tensor | None] = field(default_factory=list)
    """Of every parameter, where only the epoch's evaluation is left, which looks at them."""

    def add(self, losses: Tensor, predicted: Tensor, labels: Tensor, seconds: float) -> None:
        """One more batch; `seconds` are those of the epoch."""
        self.steps += 1
        self.seconds = seconds
        self.found.append((losses, predicted, labels))

    def figures(self) -> tuple[Tensor, Tensor, Tensor]:
        """Losses, most probable classes and labels of all images so far."""
        losses, predicted, labels = (torch.cat(parts) for parts in zip(*self.found, strict=True))
        return losses, predicted, labels

    def clear(self) -> None:
        """Begin the next epoch."""
        self.steps, self.seconds, self.whole = 0, 0.0, True
        self.found, self.gradients = [], []


def measure(
    losses: Float[Tensor, " images"],
    predicted: Int[Tensor, " images"],
    labels: Int[Tensor, " images"],
    num_classes: int,
) -> Measures:
    """The four figures over all images at once, so that a ragged last batch has no extra weight.

    Macro F1 is the mean over the classes that occur among labels or predictions. Micro F1 of
    classes that exclude each other is the accuracy.

    Args:
        losses: the loss of every image.
        predicted: the most probable class of every image.
        labels: the true class of every image.
        num_classes: classes are numbered from 0 to this, which is not among them.

    >>> found = measure(torch.ones(4), torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 1]), 2)
    >>> found.accuracy, round(found.macro_f1, 4)
    (0.75, 0.7333)
    """
    truth, guess = labels.cpu().numpy(), predicted.cpu().numpy()
    # Records hold float32 shares, as they always did: a study that goes on after an update has the
    # same rows as one made in one go, to the last bit.
    accuracy = float(np.float32(accuracy_score(truth, guess)))
    return Measures(
        loss=losses.to(torch.float64).mean().item(),
        accuracy=accuracy,
        micro_f1=accuracy,
        macro_f1=_macro_f1(truth, guess, num_classes, predicted.device),
        images=len(labels),
    )


def _macro_f1(
    labels: Int[np.ndarray, " images"],
    predicted: Int[np.ndarray, " images"],
    num_classes: int,
    device: torch.device,
) -> float:
    """The mean F1 of the classes that occur, in float32 and added in the order of the device."""
    each = f1_score(
        labels, predicted, labels=np.arange(num_classes), average=None, zero_division=0.0
    )
    occurring = len(np.union1d(labels, predicted))
    shares = each.astype(np.float32) / np.float32(occurring)
    return float(torch.from_numpy(shares).to(device).sum().item())
