"""The autograd function around the operators: any rule that is right forward is right backward."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from normlab.norms.functional import planes, rules
from normlab.norms.functional.activation import ACTIVATIONS, Activation
from normlab.norms.functional.engine import fixed_affine, plane_norm
from normlab.testing import assert_close

pytestmark = pytest.mark.usefixtures("one_thread")

EPS = 1e-5
SMALL = (2, 4, 2, 3)


def root_mean_square(mean: Tensor, variance: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """A rule of a third party: y = γ·x/√(E[x²]+ε), which does not centre (RMSNorm)."""
    scale = weight * (variance + mean.square() + EPS).rsqrt()
    return scale, scale * mean


def identity(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """y = x; uses no parameter and not even the variance."""
    return torch.ones_like(mean), mean


def constant(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """y = x − μ + 1: neither output depends on the statistics given to the rule."""
    return torch.ones_like(mean), torch.ones_like(mean)


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


RULES: dict[str, tuple[Callable[..., tuple[Tensor, Tensor]], int]] = {
    "instance": (partial(rules.instance, eps=EPS), 2),
    "layer": (partial(rules.layer, eps=EPS), 2),
    "group": (partial(rules.group, num_groups=2, eps=EPS), 2),
    "batch": (partial(rules.batch, eps=EPS), 2),
    "batch-instance": (partial(rules.batch_instance, eps=EPS), 3),
    "root-mean-square": (root_mean_square, 1),
    "identity": (identity, 0),
}
"""Rules with the number of their parameters, each of shape (C,)."""


def parameters_for(count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(9)
    values = 0.25 + 0.5 * torch.rand(count, SMALL[1], generator=generator, dtype=torch.float64)
    return [value.clone().requires_grad_() for value in values]


@pytest.mark.parametrize("activation", ["none", "leaky_relu", "silu"])
@pytest.mark.parametrize("name", RULES)
def test_first_and_second_derivatives(name: str, activation: Activation) -> None:
    rule, count = RULES[name]
    x, residual = (draw(*SMALL, seed=seed).requires_grad_() for seed in (0, 1))
    inputs = (x, residual, *parameters_for(count))

    def run(x: Tensor, residual: Tensor, *parameters: Tensor) -> Tensor:
        return plane_norm(x, rule, parameters, residual, activation)[0]

    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs, fast_mode=True)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_equal_to_automatic_differentiation_of_the_plain_form(activation: Activation) -> None:
    """Every rule, beyond the tiny shapes of gradcheck, in float64."""
    shape = (3, 4, 9, 7)
    for name, (rule, count) in RULES.items():
        gradients = []
        for fused in (True, False):
            x, residual = (draw(*shape, seed=seed).requires_grad_() for seed in (0, 1))
            parameters = parameters_for(count)
            if fused:
                y, _, _ = plane_norm(x, rule, parameters, residual, activation)
            else:
                mean, variance = planes.plain_statistics(x)
                map_ = rule(mean, variance, *parameters)
                y = planes.plain_affine(x, mean, *map_, residual, activation)
            y.backward(draw(*shape, seed=2))
            gradients.append([x.grad, residual.grad, *(p.grad for p in parameters)])
        for ours, plain in zip(*gradients, strict=True):
            assert_close(ours, plain, 1e-12, f"{name}, {activation}")


def test_a_rule_without_dependence_on_the_statistics() -> None:
    x, dy = draw(*SMALL).requires_grad_(), draw(*SMALL, seed=1)
    y, _, _ = plane_norm(x, constant)
    y.backward(dy)
    assert_close(y, x - x.mean((2, 3), keepdim=True) + 1, 1e-14, "y")
    assert_close(x.grad, dy - dy.mean((2, 3), keepdim=True), 1e-14, "dx")


def test_statistics_are_returned_without_gradient() -> None:
    x = draw(*SMALL).requires_grad_()
    y, mean, variance = plane_norm(x, identity)
    assert y.requires_grad
    assert not mean.requires_grad
    assert not variance.requires_grad
    assert_close(mean, x.mean((2, 3)), 1e-14, "mean")
    assert_close(variance, x.var((2, 3), correction=0), 1e-14, "variance")


@pytest.mark.parametrize("wanted", ["x", "residual", "weight", "bias"])
def test_gradients_of_a_part_of_the_inputs(wanted: str) -> None:
    """A frozen layer, a first layer without dx, a residual alone: the same numbers as together."""
    rule, _ = RULES["batch"]

    def step(*names: str) -> dict[str, Tensor | None]:
        shapes = {"x": SMALL, "residual": SMALL, "weight": SMALL[1:2], "bias": SMALL[1:2]}
        tensors = {
            name: draw(*shape, seed=seed).requires_grad_(name in names)
            for seed, (name, shape) in enumerate(shapes.items())
        }
        x, residual, weight, bias = tensors.values()
        y, _, _ = plane_norm(x, rule, (weight, bias), residual, "relu")
        y.backward(draw(*SMALL, seed=7))
        return {name: tensor.grad for name, tensor in tensors.items()}

    together, alone = step("x", "residual", "weight", "bias"), step(wanted)
    for name, gradient in alone.items():
        assert (gradient is not None) == (name == wanted)
    assert torch.equal(alone[wanted], together[wanted])


def test_without_gradient_the_same_numbers() -> None:
    rule, count = RULES["batch-instance"]
    x, parameters = draw(*SMALL).requires_grad_(), parameters_for(count)
    for activation in ACTIVATIONS:
        with_graph = plane_norm(x, rule, parameters, None, activation)
        with torch.no_grad():
            without = plane_norm(x, rule, parameters, None, activation)
        assert with_graph[0].requires_grad
        assert not without[0].requires_grad
        for one, other in zip(with_graph, without, strict=True):
            assert_close(one, other, 1e-14, activation)


def test_backward_twice_through_one_graph() -> None:
    rule, count = RULES["batch"]
    x, parameters = draw(*SMALL).requires_grad_(), parameters_for(count)
    y, _, _ = plane_norm(x, rule, parameters, None, "relu")
    dy = draw(*SMALL, seed=1)
    leaves = (x, *parameters)
    first = torch.autograd.grad(y, leaves, dy, retain_graph=True)
    second = torch.autograd.grad(y, leaves, dy)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("victim", ["x", "y", "weight"])
def test_a_change_in_place_before_the_backward_is_noticed(victim: str) -> None:
    """As torch does: an error, never a silently wrong gradient."""
    rule, count = RULES["instance"]
    x, parameters = draw(*SMALL).requires_grad_(), parameters_for(count)
    held = x * 1  # not a leaf, so that it may be changed
    y, _, _ = plane_norm(held, rule, parameters, None, "relu")
    with torch.no_grad():
        {"x": held, "y": y, "weight": parameters[0]}[victim].add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_without_activation_y_may_be_changed_in_place() -> None:
    """Nothing of y is kept then, so that a following relu_() costs no copy."""
    x = draw(*SMALL).requires_grad_()
    y, _, _ = plane_norm(x, identity)
    y.relu_().sum().backward()
    assert torch.equal(x.grad, (x > 0).double())


@pytest.mark.parametrize("memory", ["expanded", "transposed", "channels_last"])
def test_an_incoming_gradient_of_any_memory(memory: str) -> None:
    rule, count = RULES["batch-instance"]
    base = draw(2, 4, 3, 3, seed=3)
    dy = {
        "expanded": base[:, :, :1, :1].expand(2, 4, 3, 3),  # what y.sum() sends
        "transposed": base.transpose(2, 3),
        "channels_last": base.contiguous(memory_format=torch.channels_last),
    }[memory]
    gradients = []
    for incoming in (dy, dy.clone(memory_format=torch.contiguous_format)):
        x = draw(2, 4, 3, 3).requires_grad_()
        residual = draw(2, 4, 3, 3, seed=1).requires_grad_()
        y, _, _ = plane_norm(x, rule, parameters_for(count), residual, "relu")
        y.backward(incoming)
        gradients.append((x.grad, residual.grad))
    for one, other in zip(*gradients, strict=True):
        assert_close(one, other, 1e-13, memory)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_half_precision_rounds_once(dtype: torch.dtype) -> None:
    """Results as near as the last digit of the dtype; N×C numbers in float32."""
    rule, count = RULES["batch-instance"]
    shape = (3, 4, 9, 7)
    ulp = torch.finfo(dtype).eps
    x, residual, dy = (draw(*shape, seed=seed, dtype=dtype) for seed in range(3))
    results = []
    for precision in (dtype, torch.float64):
        own_x, own_r = (t.to(precision, copy=True).requires_grad_() for t in (x, residual))
        wide = planes.statistics_dtype(x.to(precision))
        parameters = [p.detach().to(wide).requires_grad_() for p in parameters_for(count)]
        y, mean, variance = plane_norm(own_x, rule, parameters, own_r, "relu")
        assert mean.dtype == variance.dtype == wide
        y.backward(dy.to(precision))
        results.append((y, own_x.grad, own_r.grad, *(p.grad for p in parameters)))
    for half, exact in zip(*results, strict=True):
        assert_close(half, exact, ulp, str(dtype))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_fixed_affine(activation: Activation) -> None:
    """One map for all samples; the operator without gradient, plain operations with it."""
    x, residual = draw(*SMALL).requires_grad_(), draw(*SMALL, seed=1).requires_grad_()
    center, scale, offset = (draw(4, seed=seed) for seed in (2, 3, 4))
    scale.requires_grad_()
    offset.requires_grad_()
    z = (x - center[:, None, None]) * scale[:, None, None] + offset[:, None, None] + residual
    with_graph = fixed_affine(x, center, scale, offset, residual, activation)
    with torch.no_grad():
        without = fixed_affine(x, center, scale, offset, residual, activation)
    assert_close(with_graph, planes.activate(z, activation), 1e-14, "with graph")
    assert_close(without, with_graph, 1e-14, "without graph")

    def run(x: Tensor, residual: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
        return fixed_affine(x, center, scale, offset, residual, activation)

    assert torch.autograd.gradcheck(run, (x, residual, scale, offset))


def test_activation_memory() -> None:
    """Kept for the backward: x, y where relu needs it, and N×C numbers; nothing else."""
    rule, count = RULES["batch-instance"]
    x = draw(4, 4, 16, 16).requires_grad_()
    parameters = parameters_for(count)

    def kept(activation: Activation) -> int:
        sizes: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            sizes[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            y, _, _ = plane_norm(x, rule, parameters, None, activation)
        del y
        return sum(size for size in sizes.values() if size >= x.numel())

    assert kept("none") == x.numel()
    assert kept("relu") == 2 * x.numel()
    assert kept("silu") == 2 * x.numel()
