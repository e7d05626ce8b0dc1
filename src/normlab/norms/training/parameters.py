"""What an optimizer must know of normalization parameters: groups of settings, and the gates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from normlab.norms.layers.batch_instance import BatchInstanceNorm2d


def parameter_groups(
    model: nn.Module,
    learning_rate: float,
    weight_decay: float = 0.0,
    *,
    decay_norm_parameters: bool = False,
    gate_learning_rate_multiplier: float = 10.0,
) -> list[dict[str, Any]]:
    """Groups for any torch optimizer: weights; vectors without decay; gates, faster, no decay.

    Scales, shifts and biases (tensors of one axis) are not decayed unless
    `decay_norm_parameters`. Gates follow Nam & Kim 2018, section 4.1: their own learning rate and
    no decay. Empty groups are left out.

    Args:
        model: a network with norms of any library.
        learning_rate: of weights and vectors.
        weight_decay: of weights.
        decay_norm_parameters: whether vectors are decayed, too.
        gate_learning_rate_multiplier: the gates' learning rate over that of the weights.

    Returns:
        Dictionaries with "params", "lr" and "weight_decay", as every torch optimizer takes them.

    >>> groups = parameter_groups(nn.Linear(3, 2), 0.1, weight_decay=5e-4)
    >>> [(len(g["params"]), g["weight_decay"]) for g in groups]
    [(1, 0.0005), (1, 0.0)]
    """
    gates = {id(gate) for gate in _gates(model)}
    trained = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in trained if p.dim() > 1]
    vectors = [p for p in trained if p.dim() <= 1 and id(p) not in gates]
    gate_list = [p for p in trained if id(p) in gates]
    vector_decay = weight_decay if decay_norm_parameters else 0.0
    gate_rate = learning_rate * gate_learning_rate_multiplier
    groups = [
        {"params": matrices, "lr": learning_rate, "weight_decay": weight_decay},
        {"params": vectors, "lr": learning_rate, "weight_decay": vector_decay},
        {"params": gate_list, "lr": gate_rate, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


@torch.no_grad()
def clamp_gates(model: nn.Module) -> None:
    """Put every gate of batch-instance normalization back into [0, 1].

    Called after each `optimizer.step()` it makes the optimizer's own state meet the interval's end,
    as the paper does. Without it the forward clamps alone. On a model without gates it does
    nothing.

    Args:
        model: a network with any norms.

    >>> norm = BatchInstanceNorm2d(2)
    >>> with torch.no_grad():
    ...     _ = norm.gate.copy_(torch.tensor([1.5, 0.25]))
    >>> clamp_gates(norm)
    >>> norm.gate.tolist()
    [1.0, 0.25]
    """
    for gate in _gates(model):
        gate.clamp_(0, 1)


def _gates(model: nn.Module) -> Iterator[nn.Parameter]:
    return (m.gate for m in model.modules() if isinstance(m, BatchInstanceNorm2d))
