"""Normalization with γ and β computed from a condition: conditional batch norm, AdaIN."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from normlab.errors import UsageError
from normlab.norms.base import Images, Normalization
from normlab.norms.functional import rules
from normlab.norms.functional.activation import Activation
from normlab.norms.functional.engine import Rule, plane_norm
from normlab.norms.layers.apply import normalize_over_batch
from normlab.norms.layers.batch import BatchNorm2d
from normlab.norms.layers.group import GroupNorm2d
from normlab.norms.layers.instance import InstanceNorm2d
from normlab.norms.layers.layer import LayerNorm2d


class ConditionalNorm2d(nn.Module):
    """γ and β per sample, from a condition (de Vries et al. 2017, equation 2; AdaIN, Huang &
    Belongie 2017, equation 8).

    y = γ(s)·x̂ + β(s), x̂ by the base norm without its own γ and β, and γ(s) = 1 + W_γ·s + b_γ,
    β(s) = W_β·s + b_β, both (N, C); W and b are zero at first. For a class, s is its one-hot row
    or an embedding; for AdaIN, the features of a style image.

    Args:
        base: a BatchNorm2d, InstanceNorm2d, LayerNorm2d or GroupNorm2d; its own γ and β are
            removed.
        features: the length of the condition.

    Raises:
        UsageError: the base is another norm, or an instance norm that tracks statistics.

    >>> import torch
    >>> norm = ConditionalNorm2d(InstanceNorm2d(8), features=3)
    >>> norm(torch.randn(2, 8, 4, 4), torch.eye(3)[:2]).shape
    torch.Size([2, 8, 4, 4])
    """

    def __init__(self, base: Normalization, features: int) -> None:
        super().__init__()
        kind = next((k for k in _RULES if type(base) is k), None)
        if kind is None:
            known = ", ".join(k.__name__ for k in _RULES)
            raise UsageError(f"{type(base).__name__} cannot be conditioned; use one of {known}")
        if isinstance(base, InstanceNorm2d) and base.track_running_stats:
            raise UsageError(
                "an instance norm that tracks running statistics cannot be conditioned; leave "
                "track_running_stats off"
            )
        self.base = base
        base.affine = False
        base.weight = base.bias = None
        self.scale = nn.Linear(features, base.channels)
        self.shift = nn.Linear(features, base.channels)
        for layer in (self.scale, self.shift):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self,
        x: Images,
        condition: Float[Tensor, "n features"],
        residual: Images | None = None,
        activation: Activation = "none",
    ) -> Images:
        """Normalize x with the scale and shift of the condition.

        Args:
            x: (N, C, H, W).
            condition: (N, features), one row for each image.
            residual: of the shape of x, added after the shift.
            activation: "none", "relu", "leaky_relu" or "silu".

        Returns:
            act(γ(s)·x̂ + β(s) + residual) with the shape, dtype and memory format of x.

        Raises:
            UsageError: x or the condition has a shape that does not fit.
        """
        base = self.base
        for key, hook in base._forward_pre_hooks.items():  # those of freeze, precise_statistics
            if key not in base._forward_pre_hooks_with_kwargs:
                hook(base, (x,))
        base.check(x, residual, activation)
        if condition.shape != (x.shape[0], self.scale.in_features):
            raise UsageError(
                f"the condition must have the shape {(x.shape[0], self.scale.in_features)}, got "
                f"{tuple(condition.shape)}; one row for each image"
            )
        parameters = (1 + self.scale(condition), self.shift(condition))
        if isinstance(base, BatchNorm2d) and not (base.uses_running or base.frozen):
            batch = partial(rules.batch, eps=base.eps)
            return normalize_over_batch(base, x, batch, parameters, residual, activation)
        return plane_norm(x, _RULES[type(base)](base, x), parameters, residual, activation)[0]


def _running_rule(base: Normalization, x: Tensor) -> Rule:
    assert isinstance(base, BatchNorm2d)
    m, v = base.running_for(x)
    return partial(rules.batch, eps=base.eps, pool=lambda _, __: (m[None], v[None]))


def _group_rule(base: Normalization, _: Tensor) -> Rule:
    assert isinstance(base, GroupNorm2d)
    return partial(rules.group, num_groups=base.num_groups, eps=base.eps)


def _instance_rule(base: Normalization, x: Tensor) -> Rule:
    base.check_count(x.shape[2] * x.shape[3], "use a larger image")
    return partial(rules.instance, eps=base.eps)


_RULES: dict[type[Normalization], Callable[[Normalization, Tensor], Rule]] = {
    BatchNorm2d: _running_rule,
    InstanceNorm2d: _instance_rule,
    LayerNorm2d: lambda base, _: partial(rules.layer, eps=base.eps),
    GroupNorm2d: _group_rule,
}
