"""Norms whose rule and its derivative are written out in the compiled kernel, in one call each way.

A rule of rules.py on N×C numbers is a few dozen operations each way; at the sizes of a layer they
cost more than the sweeps over x. `ClosedRule` is such a rule, called as any other, that says by
what name the kernel knows it (cpu/closed_norm.h). Where no kernel serves (other dtypes and devices,
compilers, exporters, ranks, a backward that is differentiated) the rule itself does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from normlab.norms.functional.activation import Activation
from normlab.norms.functional.engine import (
    differentiable_gradients,
    is_differentiated_or_batched,
    needs_gradient,
    residual_or_zeros,
)
from normlab.norms.functional.planes import LIBRARY
from normlab.norms.fused.arguments import RunningStatistics
from normlab.norms.fused.cpu.served import are_served

_RULE = (
    "Tensor? weight, Tensor? bias, Tensor? first, Tensor? second, float eps, float number, "
    "float other_number, str name, str activation"
)
LIBRARY.define(
    f"closed_norm({_RULE}, Tensor x, Tensor? residual, "
    "Tensor(a!)? running_mean, Tensor(b!)? running_variance, Tensor(c!)? batches, float momentum)"
    " -> (Tensor, Tensor)"
)
LIBRARY.define(
    f"closed_norm_backward({_RULE}, Tensor dy, Tensor x, Tensor? residual, Tensor planes, "
    "bool needs_dz) -> (Tensor, Tensor?, Tensor, Tensor, Tensor, Tensor)"
)
_forward = torch.ops.normlab.closed_norm.default
_backward = torch.ops.normlab.closed_norm_backward.default


@dataclass(frozen=True)
class ClosedRule:
    """A rule with the name of its closed form; called, it is the rule itself.

    >>> from functools import partial
    >>> from normlab.norms.functional import rules
    >>> plain = partial(rules.global_response, plane_size=16, eps=1e-6)
    >>> rule = ClosedRule("global_response", plain, 1e-6)
    >>> scale, offset = rule(torch.ones(2, 3), torch.ones(2, 3), torch.ones(3), torch.zeros(3))
    >>> scale.shape
    torch.Size([2, 3])
    """

    name: Literal["batch_renorm", "switchable", "global_response"]
    plain: Callable[..., Any]
    """The rule of rules.py, with everything but the planes and the parameters bound."""
    eps: float
    """ε."""
    numbers: tuple[float | Tensor, float | Tensor] = (0.0, 0.0)
    """r_max and d_max of batch renormalization."""
    constants: tuple[Tensor, Tensor] | None = None
    """Copies of the running mean and variance (C,), of batch renormalization."""

    def __call__(
        self, mean: Tensor, variance: Tensor, *parameters: Tensor | None, **others: Any
    ) -> Any:
        """The rule in plain operations."""
        return self.plain(mean, variance, *parameters, **others)


def closed_norm(
    x: Tensor,
    residual: Tensor | None,
    parameters: Sequence[Tensor | None],
    activation: Activation,
    rule: ClosedRule,
    running: RunningStatistics | None = None,
) -> Tensor | None:
    """Normalize x and move the running statistics; None where no kernel serves.

    Args:
        x: (N, C, H, W), in any memory format.
        residual: of the shape of x, added before the activation.
        parameters: γ, β (C,), and what else the rule takes.
        activation: what follows.
        rule: which norm it is.
        running: of the batch's statistics; they move after the rule has seen them.

    Returns:
        y with the shape, dtype and memory format of x, or None.
    """
    moved = () if running is None else (running.mean, running.variance)
    if not are_served(x, residual, (*parameters, *(rule.constants or ()), *moved)):
        return None
    if needs_gradient(x, residual, *parameters):
        return _ClosedNorm.apply(x, residual, activation, rule, running, *parameters)  # type: ignore[no-untyped-call,no-any-return]
    return _run(x, residual, activation, rule, running, parameters)[0]


def _run(
    x: Tensor,
    residual: Tensor | None,
    activation: Activation,
    rule: ClosedRule,
    running: RunningStatistics | None,
    parameters: Sequence[Tensor | None],
) -> tuple[Tensor, Tensor]:
    mean, variance, batches, momentum = running or (None, None, None, 0.0)
    momentum = -1.0 if momentum is None else momentum
    described = _described(rule, parameters, activation)
    return _forward(*described, x, residual, mean, variance, batches, momentum)  # type: ignore[no-any-return]


def _described(
    rule: ClosedRule, parameters: Sequence[Tensor | None], activation: Activation
) -> tuple[Any, ...]:
    """What both operators are given first."""
    first, second = parameters[2:] or rule.constants or (None, None)
    number, other_number = (float(number) for number in rule.numbers)
    facts = (rule.eps, number, other_number, rule.name, activation)
    return (*parameters[:2], first, second, *facts)


class _ClosedNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        residual: Tensor | None,
        activation: Activation,
        rule: ClosedRule,
        running: RunningStatistics | None,
        *parameters: Tensor | None,
    ) -> Tensor:
        y, planes = _run(x, residual, activation, rule, running, parameters)
        # The pre-activation is computed again from x (and the residual); nothing else is kept.
        known = residual if activation != "none" else None
        ctx.save_for_backward(x, known, planes, *parameters)
        ctx.rule, ctx.activation = rule, activation
        ctx.has_residual = residual is not None
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, residual, planes, *parameters = ctx.saved_tensors
        needs_x, needs_residual, _, _, _, *needs = ctx.needs_input_grad
        if is_differentiated_or_batched(dy):
            residual = residual_or_zeros(ctx, x, residual, needs_residual)
            needed = (needs_x, needs_residual, *needs)
            dx, dz, *others = differentiable_gradients(
                dy, x, residual, ctx.activation, ctx.rule, parameters, needed
            )
            return (dx, dz, None, None, None, *others)
        described = _described(ctx.rule, parameters, ctx.activation)
        dx, dz, *found = _backward(*described, dy, x, residual, planes, needs_residual)
        wanted = [g if n else None for g, n in zip(found, needs, strict=False)]
        return (dx if needs_x else None, dz, None, None, None, *wanted)
