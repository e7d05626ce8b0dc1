"""How a layer applies its rule: by the kernel where it serves, over ranks where it must."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from jaxtyping import Float
from torch import Tensor

from normlab.norms.base import Normalization, RunningNormalization
from normlab.norms.functional import rules
from normlab.norms.functional.engine import Rule, plane_norm
from normlab.norms.functional.planes import Activation
from normlab.norms.fused.autograd import blend_norm
from normlab.norms.training.synchronize import RankPool

Images = Float[Tensor, "n c h w"]
ONE_VALUE_PER_CHANNEL = "use a larger batch or image, or a norm without batch statistics (gn, ln)"


def by_batch(
    layer: RunningNormalization,
    x: Images,
    rule: Rule,
    parameters: Sequence[Tensor | None],
    residual: Images | None,
    activation: Activation,
    groups: int | None = None,
    first_channel: int = 0,
) -> Images:
    """Normalize by a rule that pools over the batch, and update the running statistics.

    `groups` says that the rule is one of the kernel's: the groups of channels of its part by
    sample, 0 for batch normalization alone. The batch's statistics are those of the channels from
    `first_channel` on.
    """
    plane_size = x.shape[2] * x.shape[3]
    if layer.training and layer.synchronized:
        pool = RankPool(layer.process_group, plane_size, type(layer).__name__)
        y, _, _ = plane_norm(x, partial(rule, pool=pool), parameters, residual, activation)
        mean, variance = pool.found
        layer.observe(mean[0], variance[0], pool.count)
        return y
    count = x.shape[0] * plane_size
    layer.check_count(count, ONE_VALUE_PER_CHANNEL)
    if groups is not None:
        running = layer.running_with_use()
        quick = blend_norm(
            x, parameters, layer.eps, residual, activation, rule,
            groups=groups, batch=True, running=running,
        )  # fmt: skip
        if quick is not None:
            return quick
    y, own_mean, own_variance = plane_norm(x, rule, parameters, residual, activation)
    if layer.training and layer.track_running_stats:
        mean, variance = rules.over_batch(
            own_mean[:, first_channel:], own_variance[:, first_channel:]
        )
        layer.observe(mean[0], variance[0], count)
    return y


def by_group(
    layer: Normalization,
    x: Images,
    groups: int,
    rule: Rule,
    residual: Images | None,
    activation: Activation,
) -> Images:
    """Normalize by a rule that looks at one sample at a time."""
    parameters = (layer.weight, layer.bias)
    quick = blend_norm(x, parameters, layer.eps, residual, activation, rule, groups=groups)
    return plane_norm(x, rule, parameters, residual, activation)[0] if quick is None else quick
