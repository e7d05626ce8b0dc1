"""What the fused norms are given and give back, by name: see autograd.py for the formula.

The operators that torch's dispatcher knows take the same fields, in the same order, as flat lists,
because their schemas allow nothing else: `operator(*operands, *running, *scheme)`.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from normlab.norms.functional.activation import Activation


class Operands(NamedTuple):
    """The tensors that may need a gradient."""

    x: Tensor
    """(N, C, H, W), in any memory format."""
    residual: Tensor | None
    """(N, C, H, W), added before the activation."""
    weight: Tensor | None
    """γ (C,)."""
    bias: Tensor | None
    """β (C,)."""
    gate: Tensor | None
    """ρ (C,), the share of the batch's part; only where there are both parts."""


class RunningStatistics(NamedTuple):
    """Averages over the batches so far, each (C,), and how they move."""

    mean: Tensor
    variance: Tensor
    batches: Tensor | None
    """How many batches they have seen, an int64 scalar; None where they stay as they are."""
    momentum: float | None
    """Weight of the new batch; None: the average over all."""


class Scheme(NamedTuple):
    """Which normalization it is, in the order of the operators' schemas."""

    batch: bool
    """Whether the statistics of a channel over the batch have a part."""
    fixed: bool
    """Whether running statistics are used in place of the batch's, and stay as they are."""
    groups: int
    """Groups of channels of one sample (C: instance, 1: layer); 0 for no such part."""
    eps: float
    """ε, added to the variances."""
    activation: Activation
    """What follows the addition of the residual."""
    centred: bool = True
    """Whether the groups' part takes their mean away; else it divides by their root mean square."""


class Normalized(NamedTuple):
    """What the fused forward returns: the output, and what the backward needs."""

    y: Tensor
    planes: Tensor
    """(4, N, C): mean, variance, scale and offset of every plane; (4, 1, C) on the CPU where only
    the batch's part is there."""
    statistics: Tensor
    """Mean and variance: (2, 1, C) of the batch, or (2, N, G) of the groups (GPU only)."""


class Saved(NamedTuple):
    """Tensors that autograd keeps from the forward for the backward."""

    x: Tensor
    residual: Tensor | None
    """Only with an activation, whose pre-activation is computed again."""
    weight: Tensor | None
    bias: Tensor | None
    gate: Tensor | None
    planes: Tensor
    statistics: Tensor


class Gradients(NamedTuple):
    """Gradients of the operands, in their order."""

    x: Tensor | None
    residual: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    gate: Tensor | None
