"""The head apart from the backbone: rates, epochs, and what a network of another library does."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch
from torch import nn

from normlab.errors import UsageError
from normlab.networks.registry import checked
from normlab.networks.view import inspect_network
from normlab.records.run import DataSpec, NetworkSpec, OptimizerSpec, RunSpec
from normlab.train.fine_tuning import FineTuning
from normlab.train.fit import train_epoch
from normlab.train.network import build_network, check_trainable
from normlab.train.optimizers import make_optimizer, make_schedule


class Small(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(8, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x).mean((2, 3)))


@pytest.fixture(autouse=True)
def own_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("own_nets")
    module.small = lambda num_classes: Small(num_classes)
    monkeypatch.setitem(sys.modules, "own_nets", module)


def spec(norm: str = "keep", **options: object) -> RunSpec:
    return RunSpec(
        arm=norm,
        block=0,
        data=DataSpec(fingerprint="", classes=("a", "b"), image_size=16),
        network=NetworkSpec(name="own_nets:small", options=options),
        norm=norm,
        optimizer=OptimizerSpec(learning_rate=0.1, weight_decay=0.01),
        batch_size=4,
    )


def after_an_epoch(run: RunSpec, epoch: int) -> tuple[nn.Module, nn.Module]:
    network = build_network(run)
    before = build_network(run)
    view = inspect_network(network, torch.zeros(4, 3, 16, 16))
    tuning = FineTuning.of(run, network, view)
    optimizer = make_optimizer(network, run.optimizer, rate_shares=tuning.rate_shares)
    schedule = make_schedule(optimizer, run.schedule, epochs=3, steps_per_epoch=2)
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    batches = [(images, torch.tensor([0, 1, 0, 1]))] * 2
    train_epoch(network, optimizer, schedule, batches, run, still=tuning.still(epoch))
    return before, network


@pytest.mark.parametrize(("epoch", "moves"), [(1, False), (2, False), (3, True)])
def test_the_head_alone_is_trained_at_first(epoch: int, moves: bool) -> None:
    before, after = after_an_epoch(spec(freeze_epochs=2), epoch)
    assert torch.equal(before.body[0].weight, after.body[0].weight) != moves
    assert not torch.equal(before.head.weight, after.head.weight)


def test_the_backbone_learns_at_its_share_of_the_rate() -> None:
    run = spec(backbone_lr_ratio=0.1)
    network = build_network(run)
    view = inspect_network(network, torch.zeros(4, 3, 16, 16))
    shares = FineTuning.of(run, network, view).rate_shares
    groups = make_optimizer(network, run.optimizer, rate_shares=shares).param_groups
    assert groups[0]["lr"] == 0.1
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert len(rates) == len(list(network.parameters()))
    for name, parameter in network.named_parameters():
        assert rates[id(parameter)] == pytest.approx(0.1 if name.startswith("head") else 0.01)
    assert groups[0]["lr"] == 0.1


def test_frozen_norms_have_no_gradient_and_the_run_goes_on() -> None:
    before, after = after_an_epoch(spec("keep:frozen=all"), 1)
    assert torch.equal(before.body[1].weight, after.body[1].weight)
    assert torch.equal(before.body[1].running_mean, after.body[1].running_mean)
    assert not torch.equal(before.body[0].weight, after.body[0].weight)


@pytest.mark.parametrize("norm", ["keep", "bn", "gn:groups=4", "none"])
def test_it_can_be_trained(norm: str) -> None:
    check_trainable(spec(norm))


def test_a_run_without_its_first_weights_is_built_all_the_same() -> None:
    run = spec(weights="/nowhere/weights.pth", weights_sha256="0" * 64)
    assert isinstance(build_network(run, load_weights=False), Small)


def test_an_image_that_is_too_small_names_the_layer() -> None:
    run = spec("in")
    small = run.model_copy(update={"data": run.data.model_copy(update={"image_size": 3})})
    with pytest.raises(UsageError, match=r"in in own_nets:small .*1 value.*in its layer body\.1"):
        check_trainable(small)
    tiny = run.model_copy(update={"data": run.data.model_copy(update={"image_size": 2})})
    with pytest.raises(UsageError, match=r"RuntimeError.*in its layer body\.0"):
        check_trainable(tiny)


def test_the_layers_rates_decay_towards_the_input() -> None:
    """Body and norm are one part, the head the last one; the ratio of the backbone comes on top."""
    run = spec(layer_decay=0.5, backbone_lr_ratio=0.1)
    network = build_network(run)
    view = inspect_network(network, torch.zeros(4, 3, 16, 16))
    tuning = FineTuning.of(run, network, view)
    groups = make_optimizer(network, run.optimizer, rate_shares=tuning.rate_shares).param_groups
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    found = {name: rates[id(p)] for name, p in network.named_parameters()}
    assert found == pytest.approx(
        {
            "body.0.weight": 0.005,
            "body.1.weight": 0.005,
            "body.1.bias": 0.005,
            "head.weight": 0.1,
            "head.bias": 0.1,
        }
    )
    assert groups[0]["lr"] == 0.1
    assert spec(layer_decay=1.0).id == spec().id != run.id


def test_a_layer_decay_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match=r"layer_decay .* above 0 and at most 1; got 0"):
        checked(NetworkSpec(name="own_nets:small", options={"layer_decay": 0.0}))
