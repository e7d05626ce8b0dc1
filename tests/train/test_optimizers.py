"""Optimizers get their settings, schedules their shape, and all groups keep their ratio."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

import normlab
from normlab.records.run import OptimizerSpec, ScheduleSpec
from normlab.train.optimizers import make_optimizer, make_schedule


def rates(spec: ScheduleSpec, epochs: int = 10, steps: int = 4, group: int = 0) -> list[float]:
    """The learning rate of every step."""
    optimizer = make_optimizer(normlab.resnet(1, 3, "bin"), OptimizerSpec(learning_rate=1.0))
    schedule = make_schedule(optimizer, spec, epochs=epochs, steps_per_epoch=steps)
    seen = []
    for _ in range(epochs * steps):
        seen.append(optimizer.param_groups[group]["lr"])
        optimizer.step()
        schedule.step()
    return seen


def test_constant() -> None:
    assert set(rates(ScheduleSpec(name="constant"))) == {1.0}


def test_step_and_multistep() -> None:
    stepped = rates(ScheduleSpec(name="step", step_epochs=3, factor=0.1))
    assert stepped == pytest.approx([0.1 ** (i // 12) for i in range(40)])
    several = rates(ScheduleSpec(name="multistep", milestones=(5, 7.5), factor=0.1))
    assert several == pytest.approx([1.0] * 20 + [0.1] * 10 + [0.01] * 10)


def test_cosine() -> None:
    expected = [(1 + math.cos(math.pi * i / 40)) / 2 for i in range(40)]
    assert rates(ScheduleSpec(name="cosine")) == pytest.approx(expected)


def test_one_cycle_peaks_at_the_learning_rate_and_ends_near_zero() -> None:
    seen = rates(ScheduleSpec(name="onecycle"))
    assert max(seen) == pytest.approx(1.0, abs=0.02)
    assert 9 <= seen.index(max(seen)) <= 14
    assert seen[0] == pytest.approx(1 / 25)
    assert seen[-1] < 0.01


def test_warm_up_then_the_schedule() -> None:
    seen = rates(ScheduleSpec(name="cosine", warmup_epochs=2))
    assert seen[0] == pytest.approx(0.01)
    assert seen[:8] == sorted(seen[:8])
    assert seen[8] == pytest.approx(1.0)
    assert seen[8:] == sorted(seen[8:], reverse=True)


@pytest.mark.parametrize("name", ["constant", "step", "multistep", "cosine", "onecycle"])
def test_gates_keep_their_multiple(name: str) -> None:
    spec = ScheduleSpec(name=name, milestones=(5,), warmup_epochs=1)
    weights, gates = rates(spec, group=0), rates(spec, group=2)
    assert gates == pytest.approx([10 * rate for rate in weights], rel=1e-6)


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adam", "adamw"])
def test_optimizers_by_name(name: str) -> None:
    spec = OptimizerSpec(name=name, learning_rate=0.25, weight_decay=0.5)
    network = normlab.resnet(1, 3, "bn")
    optimizer = make_optimizer(network, spec)
    assert type(optimizer).__name__.lower() == name
    weights, vectors = optimizer.param_groups
    assert (weights["weight_decay"], vectors["weight_decay"]) == (0.5, 0.0)
    assert {p.dim() for p in weights["params"]} == {2, 4}
    assert {p.dim() for p in vectors["params"]} == {1}
    if name == "sgd":
        assert weights["momentum"] == 0.9


def test_decay_of_norm_parameters_is_an_option() -> None:
    spec = OptimizerSpec(weight_decay=0.5, decay_norm_parameters=True)
    groups = make_optimizer(normlab.resnet(1, 3, "bin"), spec).param_groups
    assert [group["weight_decay"] for group in groups] == [0.5, 0.5, 0.0]


def test_a_step_of_sgd_by_hand() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.ones_(layer.weight)
    spec = OptimizerSpec(learning_rate=0.1, momentum=0.5, weight_decay=0.01)
    optimizer = make_optimizer(layer, spec)
    for _ in range(2):
        layer.weight.grad = torch.tensor([[2.0]])
        optimizer.step()
    first = 1 - 0.1 * (2 + 0.01)
    velocity = 0.5 * 2.01 + (2 + 0.01 * first)
    assert layer.weight.item() == pytest.approx(first - 0.1 * velocity)


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(ValidationError, match="unknown optimizer 'adm'; did you mean 'adam'"):
        OptimizerSpec(name="adm")
    with pytest.raises(ValidationError, match="unknown schedule 'cosin'; did you mean 'cosine'"):
        ScheduleSpec(name="cosin")
