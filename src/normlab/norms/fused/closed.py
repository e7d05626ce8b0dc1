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
    plane_norm,
)
from normlab.norms.functional.planes import LIBRARY
from normlab.norms.fused.cpu.served import are_served

_RULE = (
    "Tensor? weight, Tensor? bias, Tensor? first, Tensor? second, float eps, float number, "
    "float other_number, str name, str activation"
)
LIBRARY.define(f"closed_norm({_RULE}, Tensor x, Tensor? residual) -> (Tensor, Tensor)")
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
    >>> x, weight, bias = torch.randn(2, 3, 4, 4), torch.ones(3), torch.zeros(3)
    >>> y, mean, variance = rule.normalize(x, (weight, bias), None, "relu")
    >>> y.shape, mean.shape
    (torch.Size([2, 3, 4, 4]), torch.Size([2, 3]))
    """

    name: Literal["batch_renorm", "switchable", "global_response"]
    plain: Callable[..., Any]
    """The rule of rules.py, with everything but the planes and the parameters bound."""
    eps: float
    """ε."""
    numbers: tuple[float | Tensor, float | Tensor] = (0.0, 0.0)
    """r_max and d_max of batch renormalization."""
    constants: tuple[Tensor, Tensor] | None = None
    """The running mean and variance (C,) of batch renormalization."""

    def __call__(
        self, mean: Tensor, variance: Tensor, *parameters: Tensor | None, **others: Any
    ) -> Any:
        """The rule in plain operations."""
        return self.plain(mean, variance, *parameters, **others)

    def normalize(
        self,
        x: Tensor,
        parameters: Sequence[Tensor | None],
        residual: Tensor | None,
        activation: Activation,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`engine.plane_norm` by this rule: by the kernel where it serves.

        Args:
            x: (N, C, H, W), in any memory format.
            parameters: γ, β (C,), and what else the rule takes.
            residual: of the shape of x, added before the activation.
            activation: what follows.

        Returns:
            y with the shape, dtype and memory format of x; the planes' mean and variance (N, C).
        """
        if not are_served(x, residual, (*parameters, *(self.constants or ()))):
            return plane_norm(x, self, parameters, residual, activation)
        inputs = (x, residual, *parameters)
        if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs):
            return _ClosedNorm.apply(x, residual, activation, self, *parameters)  # type: ignore[no-untyped-call,no-any-return]
        y, planes = _forward(*self.arguments(parameters, activation), x, residual)
        return y, planes[0], planes[1]

    def arguments(
        self, parameters: Sequence[Tensor | None], activation: Activation
    ) -> tuple[Any, ...]:
        """What both operators are given of the rule."""
        weight, bias, *others = parameters
        first, second = others or self.constants or (None, None)
        numbers = (float(number) for number in self.numbers)
        return (weight, bias, first, second, self.eps, *numbers, self.name, activation)


class _ClosedNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        residual: Tensor | None,
        activation: Activation,
        rule: ClosedRule,
        *parameters: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        y, planes = _forward(*rule.arguments(parameters, activation), x, residual)
        # The pre-activation is computed again from x (and the residual); nothing else is kept.
        known = residual if activation != "none" else None
        ctx.save_for_backward(x, known, planes, *parameters)
        ctx.rule, ctx.activation = rule, activation
        ctx.has_residual = residual is not None
        mean, variance = planes[0], planes[1]
        ctx.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, residual, planes, *parameters = ctx.saved_tensors
        needs_x, needs_residual, _, _, *needs = ctx.needs_input_grad
        if is_differentiated_or_batched(dy):
            if residual is None and ctx.has_residual:  # linear: its value is in no gradient
                residual = torch.zeros_like(x).requires_grad_(needs_residual)
            dx, dz, *others = differentiable_gradients(
                dy,
                x,
                residual,
                ctx.activation,
                ctx.rule,
                parameters,
                (needs_x, needs_residual, *needs),
            )
            return (dx, dz, None, None, *others)
        arguments = ctx.rule.arguments(parameters, ctx.activation)
        dx, dz, *found = _backward(*arguments, dy, x, residual, planes, needs_residual)
        wanted = [g if n else None for g, n in zip(found, needs, strict=False)]
        return (dx if needs_x else None, dz, None, None, *wanted)
