"""The one-call kernel of the six main norms, rms and ibn against the rules in float64."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import Tensor, nn

from normlab.norms.functional.activation import ACTIVATIONS
from normlab.norms.fused.arguments import Operands
from normlab.norms.fused.autograd import serving_backend
from normlab.norms.fused.cpu import loader
from normlab.norms.spec import make_norm
from normlab.testing import relative_error

pytestmark = pytest.mark.skipif(
    loader.library_path() is None, reason="no compiled kernel (no C++ compiler, or switched off)"
)
NORMS = ("bn", "in", "bin:gate=0.6", "ln", "gn:groups=2", "bn:momentum=0.3", "rms", "ibn")
SHAPES = (
    (4, 6, 5, 7),
    (1, 2, 3, 3),
    (3, 8, 1, 1),
    (2, 2, 1, 9),
    (2, 34, 9, 3),  # more than a whole number of registers of channels
    (1, 6, 70, 131),  # several tiles a plane, one sample
    (9, 20, 16, 16),
)
LAYOUTS = ("nchw", "channels_last", "strided")
TOLERANCE = {torch.float32: 3e-6, torch.bfloat16: 2e-2}


def tensor(shape: tuple[int, ...], layout: str, dtype: torch.dtype, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    n, c, h, w = shape
    wide = (torch.randn((n, c, h, 2 * w), generator=generator) * 2 + 1).to(dtype)
    values = wide[..., ::2]
    if layout == "channels_last":
        return values.contiguous(memory_format=torch.channels_last)
    return values if layout == "strided" else values.contiguous()


def layer(norm: str, channels: int) -> nn.Module:
    made = make_norm(norm, channels)
    generator = torch.Generator().manual_seed(7)
    for name, parameter in made.named_parameters():
        if name != "gate":
            nn.init.uniform_(parameter, -1.5, 1.5, generator=generator)
    return made


def everything(
    module: nn.Module, x: Tensor, residual: Tensor | None, activation: str, dy: Tensor
) -> dict[str, Tensor]:
    """One forward and backward; all that came of it."""
    x = x.detach().requires_grad_()
    residual = None if residual is None else residual.detach().requires_grad_()
    y = module(x, residual, activation)
    y.backward(dy)
    found = {"y": y.detach(), "dx": x.grad}
    if residual is not None:
        found["dresidual"] = residual.grad
    found |= {f"d{name}": p.grad for name, p in module.named_parameters()}
    return found | {name: value.clone() for name, value in module.named_buffers()}


def compare(
    norm: str,
    shape: tuple[int, ...],
    layout: str,
    dtype: torch.dtype,
    activation: str,
    with_residual: bool,
    training: bool = True,
) -> float:
    """The largest relative error against the rules in float64."""
    x, dy = tensor(shape, layout, dtype, 1), tensor(shape, LAYOUTS[0], dtype, 2)
    residual = tensor(shape, "nchw", dtype, 3) if with_residual else None
    kernel = layer(norm, shape[1]).train(training)
    if not training:
        for name, value in kernel.named_buffers():
            if name != "num_batches_tracked":
                value.copy_(torch.linspace(0.5, 1.5, len(value)))
    oracle = copy.deepcopy(kernel).double()
    found = everything(kernel, x, residual, activation, dy)
    expected = everything(
        oracle, x.double(), None if residual is None else residual.double(), activation, dy.double()
    )
    assert found["y"].dtype == found["dx"].dtype == dtype
    if layout != "strided" and 1 not in shape:
        assert found["y"].stride() == x.stride() == found["dx"].stride()
    # dρ is a difference of nearly equal sums.
    slack = {"dgate": 0.2}
    return max(
        relative_error(found[name], value) * slack.get(name, 1.0)
        for name, value in expected.items()
    )


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_against_the_rules(norm: str, shape: tuple[int, ...]) -> None:
    if norm in ("in", "ibn") and shape[2] * shape[3] == 1:
        pytest.skip("instance normalization of one value is refused")
    for layout, activation, residual in itertools.product(LAYOUTS, ACTIVATIONS, (False, True)):
        error = compare(norm, shape, layout, torch.float32, activation, residual)
        # One value has no variance, and 1/√ε = 316 magnifies every rounding.
        tolerance = TOLERANCE[torch.float32] * (30 if shape[2] * shape[3] == 1 else 1)
        assert error < tolerance, (layout, activation, residual)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_bfloat16(norm: str, layout: str) -> None:
    for activation, residual in itertools.product(("none", "relu"), (False, True)):
        error = compare(norm, (4, 6, 9, 7), layout, torch.bfloat16, activation, residual)
        assert error < TOLERANCE[torch.bfloat16], (activation, residual)


@pytest.mark.parametrize("norm", ["bn", "bin:gate=0.6", "ibn"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_evaluation_with_gradients(norm: str, activation: str) -> None:
    """Fine-tuning on frozen statistics."""
    assert compare(norm, (4, 6, 5, 7), "nchw", torch.float32, activation, True, False) < 3e-6


@pytest.mark.parametrize("norm", NORMS)
def test_it_is_this_file_that_serves(norm: str) -> None:
    """Or else all of the above would compare the rules with themselves."""
    y = layer(norm, 4)(torch.randn(3, 4, 5, 5, requires_grad=True), None, "relu")
    assert type(y.grad_fn).__name__ == "_FusedNormBackward"
    y = layer(norm, 4).double()(torch.randn(3, 4, 5, 5).double().requires_grad_(), None, "relu")
    assert type(y.grad_fn).__name__ == "_PlaneNormBackward"


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("layout", LAYOUTS[:2])
def test_the_number_of_threads_changes_no_bit(norm: str, layout: str) -> None:
    shape = (5, 12, 40, 40)
    x, residual, dy = (tensor(shape, layout, torch.float32, seed) for seed in (1, 2, 3))
    threads = torch.get_num_threads()
    results = []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            results.append(everything(layer(norm, shape[1]), x, residual, "relu", dy))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(value, other[name]) for name, value in results[0].items())


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("activation", ["none", "silu"])
@pytest.mark.parametrize("with_residual", [False, True])
def test_the_second_derivative(norm: str, activation: str, with_residual: bool) -> None:
    """The gradient of a gradient (penalties, meta-learning) is that of the rules."""

    def penalty(module: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
        x = tensor((3, 4, 5, 5), "nchw", torch.float32, 1).to(dtype).requires_grad_()
        residual = tensor((3, 4, 5, 5), "nchw", torch.float32, 2).to(dtype).requires_grad_()
        y = module(x, residual if with_residual else None, activation)
        (dx,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
        dx.square().sum().backward()
        found = {"x": x.grad, **{name: p.grad for name, p in module.named_parameters()}}
        return {name: g for name, g in found.items() if g is not None}

    module = layer(norm, 4)
    expected = penalty(copy.deepcopy(module).double(), torch.float64)
    found = penalty(module, torch.float32)
    assert found.keys() == expected.keys()
    largest = max(g.abs().max() for g in expected.values())
    for name, g in expected.items():
        size = g.abs().max()
        if size < 1e-6:  # dβ is 0 for a norm that takes the mean away: a sum of large terms
            size = largest
        assert (found[name] - g).abs().max() < 2e-5 * size.clamp(min=1), name


@pytest.mark.parametrize("norm", NORMS)
def test_backward_twice_through_one_output(norm: str) -> None:
    x = torch.randn(3, 4, 5, 5, requires_grad=True)
    y = layer(norm, 4)(x, None, "relu")
    (first,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
    (second,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(first, second)


@pytest.mark.parametrize("norm", NORMS)
def test_what_is_kept_for_the_backward(norm: str) -> None:
    """x, and the residual where an activation follows: both are kept by their neighbours anyway."""
    x, residual = (torch.randn(4, 6, 8, 8, requires_grad=True) for _ in range(2))
    module = layer(norm, 6)
    for added, activation, expected in (
        (None, "none", 1),
        (None, "relu", 1),
        (residual, "none", 1),
        (residual, "relu", 2),
    ):
        large: list[Tensor] = []

        def note(t: Tensor, large: list[Tensor] = large) -> Tensor:
            if t.numel() == x.numel():
                large.append(t)
            return t

        with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
            module(x, added, activation)
        assert len(large) == expected


@pytest.mark.parametrize("momentum", [0.1, 1.0, 0.0, None])
def test_running_statistics_move_as_torchs(momentum: float | None) -> None:
    ours, theirs = make_norm("bn", 4), nn.BatchNorm2d(4, momentum=momentum)
    ours.momentum = momentum
    for seed in range(4):
        x = tensor((3, 4, 5, 5), "nchw", torch.float32, seed)
        ours(x)
        theirs(x)
    for name, value in theirs.named_buffers():
        assert relative_error(dict(ours.named_buffers())[name], value) < 2e-6


def test_no_gradient_is_given_that_nobody_needs() -> None:
    module = layer("bin:gate=0.6", 4)
    module.weight.requires_grad_(False)
    module.gate.requires_grad_(False)
    module(torch.randn(3, 4, 5, 5)).sum().backward()
    assert module.weight.grad is None
    assert module.gate.grad is None
    assert module.bias.grad is not None


def test_nan_and_infinity_go_through_as_in_torch() -> None:
    x = torch.randn(2, 4, 5, 5)
    x[0, 1, 2, 3] = float("nan")
    x[1, 2, 0, 0] = float("inf")
    ours, theirs = make_norm("gn:groups=2", 4), nn.GroupNorm(2, 4)
    assert torch.equal(ours(x).isnan(), theirs(x).isnan())


def test_what_is_not_served_takes_the_rules() -> None:
    module = make_norm("bn", 4)
    x = torch.randn(2, 4, 3, 3)

    def is_served(x: Tensor, weight: Tensor) -> bool:
        return serving_backend(Operands(x, None, weight, None, None), None) is not None

    assert is_served(x, module.weight)
    assert not is_served(x.double(), module.weight)
    assert not is_served(x.half(), module.weight)
    assert not is_served(x[:0], module.weight)
    assert not is_served(x.to("meta"), module.weight)
    assert not is_served(x, module.weight.double())


def test_odd_parameters_take_the_rules() -> None:
    """Strided, or a counter of another type: served by the rules, with the same result."""
    x = torch.randn(3, 4, 5, 5)
    plain = layer("bn", 4)
    expected = copy.deepcopy(plain)(x)
    strided = copy.deepcopy(plain)
    strided.weight = nn.Parameter(torch.stack([plain.weight.detach()] * 2, 1)[:, 0])
    assert relative_error(strided(x), expected) < 1e-6
    counted = copy.deepcopy(plain)
    counted.num_batches_tracked = counted.num_batches_tracked.to(torch.int32)
    assert relative_error(counted(x), expected) < 1e-6
    assert int(counted.num_batches_tracked) == 1
    halved = copy.deepcopy(plain).bfloat16()
    assert relative_error(halved(x.bfloat16()), expected) < 2e-2


@pytest.mark.parametrize("norm", NORMS)
def test_one_channel_and_any_layout_of_the_gradient(norm: str) -> None:
    if "groups" in norm:
        pytest.skip("one channel has one group")
    assert compare(norm, (4, 1, 5, 7), "nchw", torch.float32, "relu", True) < 3e-6
    shape = (4, 6, 5, 7)
    x, residual = tensor(shape, "nchw", torch.float32, 1), tensor(shape, "nchw", torch.float32, 3)
    for layout in LAYOUTS[1:]:
        dy = tensor(shape, layout, torch.float32, 2)
        added = residual.contiguous(memory_format=torch.channels_last)
        one = everything(layer(norm, 6), x, added, "relu", dy)
        other = everything(layer(norm, 6), x, residual, "relu", dy.contiguous())
        assert all(torch.equal(value, other[name]) for name, value in one.items())
