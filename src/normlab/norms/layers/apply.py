"""How a layer applies its rule: by the kernel where it serves, over ranks where it must."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from normlab.norms.base import Images, Normalization, RunningNormalization
from normlab.norms.functional import rules
from normlab.norms.functional.activation import Activation
from normlab.norms.functional.engine import Rule, fixed_affine, plane_norm
from normlab.norms.functional.rank_pool import RankPool
from normlab.norms.fused.arguments import Operands, RunningStatistics, Scheme
from normlab.norms.fused.autograd import fused_norm
from normlab.norms.fused.closed import ClosedRule, closed_norm

ONE_VALUE_PER_CHANNEL = "use a larger batch or image, or a norm without batch statistics (gn, ln)"


def normalize_over_batch(
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

    Args:
        layer: whose running statistics, ε and ranks they are.
        x: checked already.
        rule: of functional/rules.py, with everything but the planes and the parameters bound.
        parameters: γ, β, and what else the rule takes.
        residual: added before the activation.
        activation: what follows.
        groups: says that the rule is one of the kernel's: the groups of channels of its part by
            sample, 0 for batch normalization alone. None for a rule that only the planes serve.
        first_channel: the batch's statistics are those of the channels from here on.

    Returns:
        y with the shape, dtype and memory format of x.

    Raises:
        UsageError: one value per channel in training.
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
        running = layer.running_in_this_call()
        gate = parameters[2] if len(parameters) > 2 else None
        operands = Operands(x, residual, parameters[0], parameters[1], gate)
        fixed = running is not None and not layer.training
        scheme = Scheme(True, fixed, groups, layer.eps, activation)
        fused = fused_norm(operands, running, scheme, rule)
        if fused is not None:
            return fused
    if isinstance(rule, ClosedRule):
        moving = layer.running_in_this_call() if layer.training else None
        closed = closed_norm(x, residual, parameters, activation, rule, moving)
        if closed is not None:
            return closed
    y, own_mean, own_variance = plane_norm(x, rule, parameters, residual, activation)
    if layer.training and layer.track_running_stats:
        mean, variance = rules.over_batch(
            own_mean[:, first_channel:], own_variance[:, first_channel:]
        )
        layer.observe(mean[0], variance[0], count)
    return y


def normalize_by_running(
    layer: RunningNormalization, x: Images, residual: Images | None, activation: Activation
) -> Images:
    """Normalize by the running statistics, which stay: act(γ·(x − m)/√(s² + ε) + β + residual).

    Args:
        layer: whose running statistics, γ, β and ε they are.
        x: checked already.
        residual: added before the activation.
        activation: what follows.

    Returns:
        y with the shape, dtype and memory format of x.
    """
    weight, bias, eps = layer.weight, layer.bias, layer.eps
    if x.device.type == "cpu":  # on a GPU `fixed_affine` is one call already
        running = RunningStatistics(*layer.running(), layer.num_batches_tracked, layer.momentum)

        def by_running(*_: Tensor) -> rules.Statistics:  # asked where a backward is differentiated
            return running.mean[None], running.variance[None]

        rule = partial(rules.batch, eps=eps, pool=by_running)
        operands = Operands(x, residual, weight, bias, None)
        fused = fused_norm(operands, running, Scheme(True, True, 0, eps, activation), rule)
        if fused is not None:
            return fused
    mean, variance = layer.running_for(x)
    scale, offset = rules.apply_affine(
        (variance + eps).rsqrt(), torch.zeros_like(mean), weight, bias
    )
    return fixed_affine(x, mean, scale, offset, residual, activation)


def normalize_by_sample(
    layer: Normalization,
    x: Images,
    groups: int,
    rule: Rule,
    residual: Images | None,
    activation: Activation,
    *,
    centred: bool = True,
) -> Images:
    """Normalize by a rule that looks at one sample at a time.

    Args:
        layer: whose γ, β and ε they are.
        x: checked already.
        groups: groups of channels with statistics of their own: C for instance normalization, 1
            for layer normalization.
        rule: of functional/rules.py, with everything but the planes and the parameters bound.
        residual: added before the activation.
        activation: what follows.
        centred: whether the rule takes the groups' mean away.

    Returns:
        y with the shape, dtype and memory format of x.
    """
    weight, bias = layer.weight, layer.bias
    operands = Operands(x, residual, weight, bias, None)
    scheme = Scheme(False, False, groups, layer.eps, activation, centred)
    fused = fused_norm(operands, None, scheme, rule)
    if fused is not None:
        return fused
    return plane_norm(x, rule, (weight, bias), residual, activation)[0]
