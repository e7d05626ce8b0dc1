"""Parameter groups for optimizers, and the recipe of the gates (Nam & Kim 2018, section 4.1)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import normlab
from normlab.norms.training.parameters import clamp_gates, parameter_groups

OPTIMIZERS = [torch.optim.SGD, torch.optim.RMSprop, torch.optim.Adam, torch.optim.AdamW]


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        normlab.BatchInstanceNorm2d(8),
        nn.Conv2d(8, 4, 3, bias=False),
        normlab.GroupNorm2d(2, 4),
        nn.Flatten(),
        nn.Linear(4 * 4 * 4, 5),
    )


def images() -> Tensor:
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_groups_and_their_settings() -> None:
    model = network()
    weights, vectors, gates = parameter_groups(model, 0.1, 5e-4)
    assert [p.dim() for p in weights["params"]] == [4, 4, 2]
    assert [p.dim() for p in vectors["params"]] == [1] * 6  # conv bias, 2 γ, 2 β, linear bias
    assert gates["params"] == [model[1].gate]
    assert [g["lr"] for g in (weights, vectors, gates)] == [0.1, 0.1, 1.0]
    assert [g["weight_decay"] for g in (weights, vectors, gates)] == [5e-4, 0.0, 0.0]


def test_every_trained_parameter_is_in_exactly_one_group() -> None:
    model = network()
    model[0].weight.requires_grad_(False)
    grouped = [id(p) for g in parameter_groups(model, 0.1) for p in g["params"]]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(p) for p in model.parameters() if p.requires_grad}


def test_options() -> None:
    groups = parameter_groups(
        network(), 0.1, 5e-4, decay_norm_parameters=True, gate_learning_rate_multiplier=3
    )
    assert [g["weight_decay"] for g in groups] == [5e-4, 5e-4, 0.0]  # gates never decay
    assert groups[2]["lr"] == pytest.approx(0.3)


def test_empty_groups_are_left_out() -> None:
    groups = parameter_groups(nn.Sequential(nn.Conv2d(3, 4, 3, bias=False)), 0.1)
    assert [len(g["params"]) for g in groups] == [1]
    only_gates = normlab.BatchInstanceNorm2d(4, affine=False)
    assert [g["lr"] for g in parameter_groups(only_gates, 0.1)] == [1.0]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer.__name__)
@pytest.mark.parametrize("sign", [-1, 1], ids=["to-0", "to-1"])
def test_a_huge_step_leaves_the_gate_in_its_interval(optimizer, sign: int) -> None:
    model = network()
    gate = model[1].gate
    nn.init.constant_(gate, 0.5)
    chosen = optimizer(parameter_groups(model, 1e3))
    (sign * -gate.sum()).backward()
    chosen.step()
    assert not ((gate >= 0) & (gate <= 1)).any()  # the step alone leaves it
    clamp_gates(model)
    assert torch.equal(gate, torch.full_like(gate, float(sign == 1)))
    assert gate.requires_grad
    assert gate.is_leaf


def test_gates_learn_faster_than_the_rest() -> None:
    model = network()
    nn.init.constant_(model[1].gate, 0.5)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    torch.optim.SGD(parameter_groups(model, 0.01), lr=0.01)  # made, and thrown away: no effect
    optimizer = torch.optim.SGD(parameter_groups(model, 0.01))
    model(images()).square().sum().backward()
    optimizer.step()
    for name, p in model.named_parameters():
        rate = 0.1 if name == "1.gate" else 0.01
        torch.testing.assert_close(p.detach(), before[name] - rate * p.grad)


def test_clamping_a_model_without_gates_does_nothing() -> None:
    model = nn.Sequential(normlab.BatchNorm2d(3), nn.Conv2d(3, 3, 1))
    before = [p.detach().clone() for p in model.parameters()]
    clamp_gates(model)
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))


def test_gates_are_found_in_nested_modules() -> None:
    model = normlab.resnet(1, 5, "bin")
    norms = [m for m in model.modules() if isinstance(m, normlab.BatchInstanceNorm2d)]
    groups = parameter_groups(model, 0.1)
    assert len(groups[-1]["params"]) == len(norms) == 7
    for norm in norms:
        nn.init.constant_(norm.gate, 7.0)
    clamp_gates(model)
    assert all(norm.gate.eq(1).all() for norm in norms)
