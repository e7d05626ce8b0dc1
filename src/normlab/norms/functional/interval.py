"""A parameter that is kept in [0, 1] by the forward, whatever an optimizer made of it."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from normlab.norms.functional.engine import is_traced_or_transformed
from normlab.norms.functional.planes import LIBRARY


def into_unit_interval(values: Float[Tensor, " c"]) -> Float[Tensor, " c"]:
    """min(max(values, 0), 1), with the gradient of the projection onto [0, 1].

    The gradient of what is inside is passed on as it is. What lies outside gets the part of it that
    a step of descent would follow back to the interval: a plain clamp would give it none at all, so
    that it could never return. To values in [0, 1] all this is the identity, to the bit.

    Args:
        values: of shape (C,).

    Returns:
        The values in [0, 1].

    >>> gate = torch.tensor([1.5, 1.5, 0.3], requires_grad=True)
    >>> kept = into_unit_interval(gate)
    >>> kept.backward(torch.tensor([1.0, -1.0, -1.0]))
    >>> kept.tolist(), gate.grad.tolist()
    ([1.0, 1.0, 0.30000001192092896], [1.0, 0.0, -1.0])
    """
    if not (torch.is_grad_enabled() and values.requires_grad) or is_traced_or_transformed():
        return values.clamp(0, 1)
    if torch.compiler.is_compiling():
        kept: Tensor = torch.ops.normlab.into_unit_interval(values)
        return kept
    return _Projection.apply(values)  # type: ignore[no-any-return,no-untyped-call]


def _clamp(values: Tensor) -> Tensor:
    return values.clamp(0, 1)


def _keep_values(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _inward(ctx: Any, gradient: Tensor) -> Tensor:
    (values,) = ctx.saved_tensors
    outward = ((values > 1) & (gradient < 0)) | ((values < 0) & (gradient > 0))
    return gradient.masked_fill(outward, 0)


class _Projection(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return _clamp(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _inward(ctx, gradient)


# For code from torch.compile, which does not look into an operator; called without it, an operator
# takes several times as long as a function of autograd.
LIBRARY.define("into_unit_interval(Tensor values) -> Tensor")
LIBRARY.impl("into_unit_interval", _clamp, "CompositeExplicitAutograd")
torch.library.register_fake("normlab::into_unit_interval", torch.empty_like, lib=LIBRARY)
torch.library.register_autograd(
    "normlab::into_unit_interval", _inward, setup_context=_keep_values, lib=LIBRARY
)
