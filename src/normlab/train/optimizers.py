"""torch's optimizers and schedules from their specs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    SequentialLR,
    StepLR,
)

from normlab.norms.training.parameters import parameter_groups
from normlab.records.run import OptimizerSpec, ScheduleSpec


def make_optimizer(
    network: nn.Module,
    spec: OptimizerSpec,
    *,
    rate_shares: Mapping[int, float] = MappingProxyType({}),
) -> Optimizer:
    """The optimizer over the network's parameter groups.

    `rate_shares` has, by the id of a parameter, the share of the rate that it learns at, where that
    is not 1.

    Momentum and Nesterov belong to sgd. rmsprop, adam and adamw run with torch's own constants
    (α = 0.99; β = (0.9, 0.999)). Decay is L2 in sgd, rmsprop, adam and decoupled in adamw.
    """
    groups = parameter_groups(
        network,
        spec.learning_rate,
        spec.weight_decay,
        decay_norm_parameters=spec.decay_norm_parameters,
        gate_learning_rate_multiplier=spec.gate_learning_rate_multiplier,
    )
    if rate_shares:
        groups = _apart(groups, rate_shares)
    rate = spec.learning_rate
    fused = True if next(network.parameters()).is_cuda else None  # one kernel for all tensors
    match spec.name:
        case "sgd":
            nesterov = spec.nesterov and spec.momentum > 0
            return SGD(groups, lr=rate, momentum=spec.momentum, nesterov=nesterov, fused=fused)
        case "rmsprop":
            return RMSprop(groups, lr=rate)
        case "adam":
            return Adam(groups, lr=rate, fused=fused)
        case "adamw":
            return AdamW(groups, lr=rate, fused=fused)
    raise AssertionError(f"the schema let {spec.name} through")


def _apart(groups: list[dict[str, Any]], shares: Mapping[int, float]) -> list[dict[str, Any]]:
    """The groups with the whole rate first, which is the one that is recorded; then the others."""
    found = []
    rest = sorted({*shares.values()} - {1.0}, reverse=True)
    for share in (1.0, *rest):
        for group in groups:
            own = [p for p in group["params"] if shares.get(id(p), 1.0) == share]
            found.append({**group, "params": own, "lr": group["lr"] * share})
    return [group for group in found if group["params"]]


def make_schedule(
    optimizer: Optimizer, spec: ScheduleSpec, *, epochs: int, steps_per_epoch: int
) -> LRScheduler:
    """A schedule that is stepped once a batch; every group keeps its ratio to the others.

    constant   η
    step       η·factor^⌊epoch / step_epochs⌋
    multistep  η·factor^(number of milestones passed)
    cosine     η·(1 + cos(π·t/T))/2                             (Loshchilov & Hutter 2017)
    onecycle   up to η over the first 30 %, then down to 0      (Smith & Topin 2018)

    Warm-up raises the rate linearly from η/100 over `warmup_epochs` before the schedule begins;
    one-cycle brings its own and takes none.
    """
    total = epochs * steps_per_epoch
    if spec.name == "onecycle":
        peaks = [group["lr"] for group in optimizer.param_groups]
        return OneCycleLR(optimizer, max_lr=peaks, total_steps=total + 1, cycle_momentum=False)
    warmup = min(round(spec.warmup_epochs * steps_per_epoch), total)
    after = _after_warmup(optimizer, spec, max(total - warmup, 1), steps_per_epoch)
    if warmup == 0:
        return after
    rise = LinearLR(optimizer, start_factor=0.01, total_iters=warmup)
    return SequentialLR(optimizer, [rise, after], milestones=[warmup])


def _after_warmup(
    optimizer: Optimizer, spec: ScheduleSpec, steps: int, steps_per_epoch: int
) -> LRScheduler:
    match spec.name:
        case "constant":
            return LambdaLR(optimizer, lambda step: 1.0)
        case "step":
            every = max(round(spec.step_epochs * steps_per_epoch), 1)
            return StepLR(optimizer, every, gamma=spec.factor)
        case "multistep":
            at = [round(epoch * steps_per_epoch) for epoch in sorted(spec.milestones)]
            return MultiStepLR(optimizer, at, gamma=spec.factor)
        case "cosine":
            return CosineAnnealingLR(optimizer, T_max=steps)
    raise AssertionError(f"the schema let {spec.name} through")
