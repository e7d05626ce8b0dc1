"""Against torch's own layers: statistics over several steps, evaluation, weights both ways."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import normlab

SHAPE = (4, 8, 6, 5)
PAIRS = {
    "bn": (lambda **k: normlab.BatchNorm2d(8, **k), lambda **k: nn.BatchNorm2d(8, **k)),
    "in": (lambda **k: normlab.InstanceNorm2d(8, **k), lambda **k: nn.InstanceNorm2d(8, **k)),
    "gn": (lambda **k: normlab.GroupNorm2d(4, 8, **k), lambda **k: nn.GroupNorm(4, 8, **k)),
    "ln": (lambda **k: normlab.LayerNorm2d(8, **k), lambda **k: nn.GroupNorm(1, 8, **k)),
}
RUNNING = {"momentum": [0.1, 0.7, None], "track_running_stats": [True, False]}


def batches(count: int = 4) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [3 * torch.randn(*SHAPE, generator=generator) + 2 for _ in range(count)]


def agree(ours: nn.Module, theirs: nn.Module) -> None:
    """Raise unless both layers do the same in training and in evaluation, buffers included."""
    theirs.load_state_dict(ours.state_dict())
    for x in batches():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=2e-6)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for name, value in theirs.state_dict().items():
        if isinstance(theirs, nn.InstanceNorm2d) and name == "num_batches_tracked":
            continue  # torch's instance norm has the counter and never moves it
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-5, atol=1e-6)
    ours.eval()
    theirs.eval()
    for x in batches():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=2e-6)


def randomize(layer: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return layer


@pytest.mark.parametrize("eps", [1e-5, 1e-2])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("name", PAIRS)
def test_same_as_torch(name: str, affine: bool, eps: float) -> None:
    ours, theirs = (make(affine=affine, eps=eps) for make in PAIRS[name])
    agree(randomize(ours), theirs)


@pytest.mark.parametrize("track_running_stats", RUNNING["track_running_stats"])
@pytest.mark.parametrize("momentum", RUNNING["momentum"])
@pytest.mark.parametrize("name", ["bn", "in"])
def test_same_running_statistics(name: str, momentum: float | None, track_running_stats) -> None:
    if name == "in" and momentum is None:
        pytest.skip("torch's instance norm refuses momentum None")
    options = {"affine": True, "momentum": momentum, "track_running_stats": track_running_stats}
    ours, theirs = (make(**options) for make in PAIRS[name])
    agree(randomize(ours), theirs)


def test_the_comparison_can_fail() -> None:
    with pytest.raises(AssertionError):
        agree(normlab.BatchNorm2d(8, momentum=0.1), nn.BatchNorm2d(8, momentum=0.2))


@pytest.mark.parametrize("name", PAIRS)
def test_weights_of_torch_load(name: str) -> None:
    ours, theirs = (make(affine=True) for make in PAIRS[name])
    randomize(theirs)
    for x in batches():
        theirs(x)
    ours.load_state_dict(theirs.state_dict())
    x = batches(1)[0]
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["bn", "in"])
def test_gradients_in_evaluation_on_running_statistics(name: str) -> None:
    """Fine-tuning on frozen statistics: the gradients are torch's."""
    options = {"affine": True, "track_running_stats": True}
    ours, theirs = (make(**options) for make in PAIRS[name])
    randomize(ours)
    ours(batches(1)[0])
    theirs.load_state_dict(ours.state_dict())
    gradients = []
    for layer in (ours.eval(), theirs.eval()):
        x = batches(1)[0].requires_grad_()
        layer(x).square().sum().backward()
        gradients.append([x.grad, *(p.grad for p in layer.parameters())])
    for got, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_batch_instance_between_its_ends() -> None:
    """ρ = 1 is batch normalization and ρ = 0 instance normalization, in both modes."""
    x = batches(1)[0]
    batch, instance = normlab.BatchNorm2d(8), normlab.InstanceNorm2d(8, affine=True)
    for gate, layer in ((1.0, batch), (0.0, instance)):
        blended = normlab.BatchInstanceNorm2d(8, gate=gate)
        torch.testing.assert_close(blended(x), layer(x))
        torch.testing.assert_close(blended.eval()(2 * x), layer.eval()(2 * x))


def test_groups_between_their_ends() -> None:
    """Peers: "the number of groups has no effect". G = 1 is LN, G = C is IN, others differ."""
    x = batches(1)[0]
    outputs = {g: normlab.GroupNorm2d(g, 8)(x) for g in (1, 2, 4, 8)}
    torch.testing.assert_close(outputs[1], normlab.LayerNorm2d(8)(x))
    torch.testing.assert_close(outputs[8], normlab.InstanceNorm2d(8)(x))
    for a, b in ((1, 2), (2, 4), (4, 8)):
        assert (outputs[a] - outputs[b]).abs().max() > 0.05
