"""Loss, accuracy, micro F1 and macro F1 of one part of the data, by torchmetrics."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from normlab.errors import UsageError
from normlab.records.run import Measures

try:
    from torchmetrics.functional.classification import multiclass_accuracy, multiclass_f1_score
except RuntimeError as error:  # torchmetrics imports torchvision wherever it finds it
    raise UsageError(
        f"torchmetrics found a torchvision that does not fit this torch ({error}); install the "
        "matching torchvision, or none: pip uninstall torchvision"
    ) from error


def measure(
    losses: Float[Tensor, " images"],
    predicted: Int[Tensor, " images"],
    labels: Int[Tensor, " images"],
    num_classes: int,
) -> Measures:
    """The four figures over all images at once, so that a ragged last batch has no extra weight.

    Macro F1 is the mean over the classes that occur among labels or predictions.
    """
    settings: dict[str, Any] = {"num_classes": num_classes, "validate_args": False}
    return Measures(
        loss=losses.to(torch.float64).mean().item(),
        accuracy=multiclass_accuracy(predicted, labels, average="micro", **settings).item(),
        micro_f1=multiclass_f1_score(predicted, labels, average="micro", **settings).item(),
        macro_f1=multiclass_f1_score(predicted, labels, average="macro", **settings).item(),
        images=len(labels),
    )
