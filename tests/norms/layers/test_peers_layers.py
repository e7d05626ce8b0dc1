"""The defects that nine public versions of this system had in their layers, one test or more each.

Every line of the table was really there in somebody's code; ours must fail this file if it has it.

| defect                                             | test                                        |
|----------------------------------------------------|---------------------------------------------|
| group norm over wrong axes: groups without effect  | test_groups_have_an_effect                  |
| running statistics are attributes, not buffers     | test_running_statistics_are_buffers         |
| biased running variance                            | test_running_variance_is_unbiased           |
| … or Bessel-corrected by the evaluation batch size | test_evaluation_does_not_see_the_batch_size |
| normalizing with the unbiased variance             | test_unit_variance_on_tiny_maps             |
| x/(std+ε) instead of x/√(var+ε)                    | test_nearly_constant_input                  |
| moving average keeps the graph alive               | test_memory_is_flat                         |
| gate re-created in forward, or constant            | test_the_gate_is_a_parameter_that_learns    |
| … or clamp without effect                          | test_the_gate_stays_in_its_interval         |
| … so BIN = BN                                      | test_the_ends_of_the_gate                   |
| one scalar gate; no affine; two affines            | test_shapes_of_the_parameters               |
| LN with scalar or C×H×W affine                     | test_layer_norm_has_one_scale_a_channel     |
| statistics in half precision for some norms        | test_autocast_with_large_values             |
| statistics by E[x²]−μ²                             | test_far_from_zero                          |
|                                                    | test_running_variance_far_from_zero         |
| ε 1e-8 in one norm, 1e-5 in the others             | test_all_arms_share_epsilon                 |
| fails on channels_last, or drops the layout        | test_channels_last                          |
| a BN subclass that a SyncBN conversion replaces    | test_sync_conversion_leaves_our_layers      |

Several are held a second time, in float64 and for all combinations, by test_formulas.py.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import normlab
from normlab.norms.base import Normalization
from normlab.norms.spec import make_norm
from normlab.testing import assert_close

pytestmark = pytest.mark.usefixtures("one_thread")

ARMS = ["bn", "in", "bin", "ln", "gn", "ln:axes=c", "torch-bn"]
WITH_RUNNING = ["bn", "bin", "torch-bn"]
PLANE_ARMS = ["bn", "in", "bin", "ln", "gn"]
"""Those that run through our own engine."""

NORMALIZED_AXES = {
    "bn": (0, 2, 3),
    "in": (2, 3),
    "bin": (0, 2, 3),
    "ln": (1, 2, 3),
    "gn": (2, 3),
    "ln:axes=c": (1,),
    "torch-bn": (0, 2, 3),
}
"""With 8 channels in 8 groups, gn's groups are single channels; bin's gate starts at 1."""


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_groups_have_an_effect() -> None:
    """Group norm reduces over the wrong axes, so that the number of groups has no effect."""
    x = images(3, 8, 5, 4) * torch.arange(1, 9)[:, None, None]
    by_groups = {groups: normlab.GroupNorm2d(groups, 8)(x) for groups in (1, 2, 4, 8)}
    for groups, y in by_groups.items():
        assert_close(y, nn.GroupNorm(groups, 8)(x), 1e-6, f"{groups} groups")
    assert_close(by_groups[1], normlab.LayerNorm2d(8)(x), 1e-6, "G = 1 equals LN")
    assert_close(by_groups[8], normlab.InstanceNorm2d(8)(x), 1e-6, "G = C equals IN")
    for fewer, more in ((1, 2), (2, 4), (4, 8)):
        assert (by_groups[fewer] - by_groups[more]).abs().max() > 0.1


@pytest.mark.parametrize("arm", WITH_RUNNING)
def test_running_statistics_are_buffers(arm: str) -> None:
    """Running statistics are plain attributes, not buffers: lost on saving and on moving."""
    layer = make_norm(arm, 8)
    fresh = make_norm(arm, 8).eval()
    x = images(4, 8, 3, 3) + 2
    assert_close(fresh(x), x / (1 + 1e-5) ** 0.5 if arm != "bin" else fresh(x), 1e-6, "untrained")
    layer(x)
    assert {"running_mean", "running_var", "num_batches_tracked"} <= layer.state_dict().keys()
    fresh.load_state_dict(layer.state_dict())
    assert torch.equal(fresh(x), layer.eval()(x))
    assert all(value.dtype == torch.float64 for value in layer.double().running())
    assert all(value.device.type == "meta" for value in layer.to("meta").running())


@pytest.mark.parametrize("arm", WITH_RUNNING)
def test_running_variance_is_unbiased(arm: str) -> None:
    """Running variance updated with the biased variance: off by a third at 4 values."""
    layer, framework = make_norm(arm, 8), nn.BatchNorm2d(8)
    for seed in range(3):
        x = images(1, 8, 2, 2, seed=seed)
        layer(x)
        framework(x)
    assert_close(layer.running_var, framework.running_var, 1e-6, "running variance")
    biased = nn.BatchNorm2d(8)
    biased.running_var.lerp_(x.var((0, 2, 3), correction=0), 0.1)
    assert (framework.running_var - biased.running_var).abs().max() > 0.01  # this test can fail


@pytest.mark.parametrize("arm", WITH_RUNNING)
def test_evaluation_does_not_see_the_batch_size(arm: str) -> None:
    """Running variance Bessel-corrected by the *evaluation* batch size."""
    layer = make_norm(arm, 8)
    layer(images(4, 8, 3, 3))
    layer.eval()
    x = images(6, 8, 3, 3, seed=1)
    together = layer(x)
    for size in (1, 2, 3):
        parts = torch.cat([layer(part) for part in x.split(size)])
        assert_close(parts, together, 1e-6, f"batches of {size}")


@pytest.mark.parametrize("arm", ARMS)
def test_unit_variance_on_tiny_maps(arm: str) -> None:
    """Normalizing with the unbiased variance: on 2×2 maps of instances 13 % too small."""
    y = make_norm(arm, 8)(10 * images(1, 8, 2, 2))
    variance = y.var(NORMALIZED_AXES[arm], correction=0)
    assert (variance - 1).abs().max() < 1e-3


@pytest.mark.parametrize("arm", ARMS)
def test_nearly_constant_input(arm: str) -> None:
    """x/(std+ε) instead of x/√(var+ε): 300 times too large where the variance is far below ε."""
    x = 1e-5 * images(4, 8, 5, 5)
    y = make_norm(arm, 8)(x)
    axes = NORMALIZED_AXES[arm]
    centred = x.double() - x.double().mean(axes, keepdim=True)
    expected = centred / (centred.square().mean(axes, keepdim=True) + 1e-5).sqrt()
    assert_close(y, expected, 1e-5, "y")
    wrong = centred / (centred.square().mean(axes, keepdim=True).sqrt() + 1e-5)
    assert wrong.abs().max() > 100 * y.abs().max()


def graphs_alive(layer: nn.Module, steps: int) -> int:
    """How many of the steps' inputs are still held by somebody's graph when all is over."""
    inputs = []
    for _ in range(steps):
        x = images(2, 8, 4, 4).requires_grad_()
        inputs.append(weakref.ref(x))
        layer(x, activation="relu").sum().backward()
    del x
    gc.collect()
    return sum(reference() is not None for reference in inputs)


class NeverDetached(nn.Module):
    """The peers' moving average: its graph reaches back to the first batch."""

    def __init__(self) -> None:
        super().__init__()
        self.running = torch.zeros(8)

    def forward(self, x: Tensor, activation: str) -> Tensor:
        y = functional.relu(2 * x)
        self.running = 0.9 * self.running + 0.1 * y.square().mean((0, 2, 3))
        return y


@pytest.mark.slow
def test_memory_is_flat() -> None:
    """Moving average keeps the graph alive (memory grows every step)."""
    assert graphs_alive(NeverDetached(), steps=200) == 200  # this test can fail
    for arm in ("bn", "bin", "gn"):
        layer = make_norm(arm, 8)
        assert graphs_alive(layer, steps=200) == 0, arm
        assert not any(buffer.requires_grad for buffer in layer.buffers())


def test_the_gate_is_a_parameter_that_learns() -> None:
    """BIN gate re-created in forward, or constant .5: never in `parameters()`, never moves."""
    layer = normlab.BatchInstanceNorm2d(8, gate=0.5)
    assert any(parameter is layer.gate for parameter in layer.parameters())
    before = layer.gate.detach().clone()
    optimizer = torch.optim.SGD(normlab.parameter_groups(layer, 1e-4))
    for seed in range(2):
        optimizer.zero_grad()
        layer(images(4, 8, 5, 5, seed=seed)).pow(3).sum().backward()
        optimizer.step()
        assert (layer.gate != before).all()
        before = layer.gate.detach().clone()


def test_the_gate_stays_in_its_interval() -> None:
    """Clamp without effect: a huge step leaves the gate in [0, 1] after `clamp_gates`."""
    layer = normlab.BatchInstanceNorm2d(8, gate=0.5)
    optimizer = torch.optim.SGD(normlab.parameter_groups(layer, 1e6))
    layer(images(4, 8, 5, 5)).pow(3).sum().backward()
    optimizer.step()
    assert (layer.gate.abs() > 100).all()
    normlab.clamp_gates(layer)
    assert set(layer.gate.tolist()) == {0.0, 1.0}  # clamped to both ends, in the parameter itself


@pytest.mark.parametrize(
    ("gate", "same_as"),
    [(1.0, normlab.BatchNorm2d(8)), (0.0, normlab.InstanceNorm2d(8, affine=True))],
    ids=["gate 1 is bn", "gate 0 is in"],
)
def test_the_ends_of_the_gate(gate: float, same_as: nn.Module) -> None:
    """BIN = BN at every gate: gate 1 ≡ BN, gate 0 ≡ IN, .5 is neither."""
    x = images(4, 8, 5, 5) + images(4, 8, 1, 1, seed=1)
    for training in (True, False):
        layer = normlab.BatchInstanceNorm2d(8, gate=gate).train(training)
        half = normlab.BatchInstanceNorm2d(8, gate=0.5).train(training)
        expected = same_as.train(training)(x)
        assert_close(layer(x), expected, 1e-6, f"training {training}")
        assert (half(x) - expected).abs().max() > 0.1
        same_as.reset_running_stats()


@pytest.mark.parametrize("channels", [1, 8, 24])
def test_shapes_of_the_parameters(channels: int) -> None:
    """One scalar gate for all channels; no affine; two affines."""
    expected = {"weight": (channels,), "bias": (channels,)}
    for arm in ARMS:
        layer = make_norm("gn:groups=1" if arm == "gn" else arm, channels)
        shapes = {name: tuple(p.shape) for name, p in layer.named_parameters()}
        gate = {"gate": (channels,)} if arm == "bin" else {}
        assert shapes == expected | gate, arm
    assert not list(make_norm("none", channels).parameters())


@pytest.mark.parametrize("size", [1, 7, 32])
def test_layer_norm_has_one_scale_a_channel(size: int) -> None:
    """LN with scalar or C×H×W affine: the number of parameters depends on the image."""
    layer = normlab.LayerNorm2d(8)
    assert layer.weight.shape == layer.bias.shape == (8,)
    assert layer(images(2, 8, size, size)).shape == (2, 8, size, size)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(8))
    assert layer(images(2, 8, size, size))[:, 0].eq(0).all()  # γ_0 = 0 silences channel 0 alone
    assert layer(images(2, 8, size, size))[:, 1:].ne(0).any()


@pytest.mark.parametrize("arm", ARMS)
def test_autocast_with_large_values(arm: str) -> None:
    """Statistics in half precision for some norms: 60,000² overflows float16, 300 eats the rest."""
    layer = make_norm(arm, 8)
    for dtype, offset, size in ((torch.bfloat16, 300.0, 40.0), (torch.float16, 0.0, 15000.0)):
        x = (size * images(4, 8, 9, 9) + offset).to(dtype)
        with torch.autocast("cpu", dtype=dtype):
            y = layer(x)
        expected = make_norm(arm, 8).double()(x.double())
        assert y.dtype == dtype
        assert_close(y, expected, torch.finfo(dtype).eps, f"{arm} in {dtype}")


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("ratio", [1, 10, 1e3, 1e4])
@pytest.mark.parametrize("arm", PLANE_ARMS)
def test_far_from_zero(
    arm: str, ratio: float, layout: torch.memory_format, record_testsuite_property
) -> None:
    """Statistics by E[x²]−μ²: at mean/std = 1000 the relative variance error must be < 1e-5."""
    x = (images(4, 8, 32, 32) + ratio).contiguous(memory_format=layout)
    axes = NORMALIZED_AXES[arm]
    exact = x.double().var(axes, correction=0)
    centred = x.double() - x.double().mean(axes, keepdim=True)
    expected = centred / (centred.square().mean(axes, keepdim=True) + 1e-5).sqrt()
    y = make_norm(arm, 8)(x)
    # y's slope is 1/√(v+ε): the variance the layer used, up to rounding of y itself.
    slope = (y.double() * centred).sum(axes) / centred.square().sum(axes)
    error = ((slope**-2 - 1e-5) / exact - 1).abs().max().item()
    record_testsuite_property(f"variance error, {arm}, mean/std {ratio:g}, {layout}", error)
    assert error < (1e-5 if ratio <= 1e3 else 1e-4)
    assert_close(y, expected, 1e-6 + 1e-7 * ratio, "y")  # μ itself has seven digits


@pytest.mark.parametrize("arm", WITH_RUNNING)
def test_running_variance_far_from_zero(arm: str) -> None:
    """Statistics by E[x²]−μ², as evaluation sees them."""
    layer = make_norm(f"{arm}:momentum=1", 8)
    x = images(4, 8, 32, 32) + 1e3
    layer(x)
    assert_close(layer.running_var, x.double().var((0, 2, 3)), 1e-5, "running variance")


def test_all_arms_share_epsilon() -> None:
    """ε 1e-8 in one norm and 1e-5 in the others, also behind a spec and in a network."""
    assert {make_norm(arm, 8).eps for arm in ARMS} == {1e-5}
    for arm in ("bn", "in", "bin", "ln", "gn", "torch-bn"):
        norms = [m for m in normlab.resnet(1, 5, arm).modules() if isinstance(m, Normalization)]
        assert {norm.eps for norm in norms} == {1e-5}
        assert make_norm(f"{arm}:eps=1e-3", 8).eps == 1e-3


@pytest.mark.parametrize("arm", [*ARMS, "none"])
def test_channels_last(arm: str) -> None:
    """Fails on channels_last (`view`) or drops the layout, forward or backward."""
    x, residual, dy = (images(3, 8, 5, 4, seed=seed) for seed in range(3))
    results = []
    for layout, other in (
        (torch.contiguous_format, torch.channels_last),
        (torch.channels_last, torch.contiguous_format),
    ):
        own_x = x.clone(memory_format=layout).requires_grad_()
        own_residual = residual.clone(memory_format=layout).requires_grad_()
        y = make_norm(arm, 8)(own_x, residual=own_residual, activation="relu")
        y.backward(dy.clone(memory_format=other))
        for what, tensor in (("y", y), ("dx", own_x.grad)):
            if arm != "none" or what == "y":  # dx of none is dy itself, in dy's layout
                assert tensor.is_contiguous(memory_format=layout), f"{what} lost its layout"
        results.append((y, own_x.grad, own_residual.grad))
    for one, other in zip(*results, strict=True):
        assert_close(one, other, 2e-6, arm)


@pytest.mark.parametrize("arm", ARMS)
def test_sync_conversion_replaces_batch_norm_alone(arm: str) -> None:
    """A norm that a SyncBN conversion replaces by another one: only what is batch normalization."""
    network = normlab.resnet(1, 5, arm).eval()
    x = images(2, 3, 16, 16)
    before, y = list(network.modules()), network(x)
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for old, new in zip(before, converted.modules(), strict=True):
        wanted = nn.SyncBatchNorm if isinstance(old, nn.BatchNorm2d) else type(old)
        assert type(new) is wanted
    assert any(isinstance(m, nn.SyncBatchNorm) for m in converted.modules()) == (
        arm in ("bn", "torch-bn")
    )
    assert_close(converted(x), y, 1e-5, arm)  # our networks call it as they called ours


def broken(rule: str) -> Callable[[Tensor], Tensor]:
    """What some of the peers computed, to show that the tests above would have seen it."""
    return {
        "unbiased": lambda x: (x - x.mean((2, 3), True)) / (x.var((2, 3), keepdim=True)).sqrt(),
        "squares": lambda x: (
            (x - x.mean((2, 3), True))
            / (x.square().mean((2, 3), True) - x.mean((2, 3), True).square() + 1e-5).sqrt()
        ),
    }[rule]


def test_the_tests_see_the_defects() -> None:
    tiny = broken("unbiased")(10 * images(1, 8, 2, 2)).var((2, 3), correction=0)
    assert (tiny - 1).abs().max() > 0.2
    far = images(4, 8, 32, 32) + 1e3
    with pytest.raises(AssertionError):
        assert_close(broken("squares")(far), normlab.InstanceNorm2d(8)(far), 1e-3, "E[x²]−μ²")
