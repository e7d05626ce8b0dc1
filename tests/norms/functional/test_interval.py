"""A parameter that is kept in [0, 1] by the forward."""

from __future__ import annotations

import pytest
import torch

import normlab
from normlab.norms.functional.interval import into_unit_interval


@pytest.mark.parametrize("gradient", [-1.0, 1.0])
def test_a_step_of_descent_never_moves_further_outside(gradient: float) -> None:
    values = torch.tensor([-0.5, 0.0, 0.4, 1.0, 1.5], requires_grad=True)
    kept = into_unit_interval(values)
    assert kept.tolist() == pytest.approx([0.0, 0.0, 0.4, 1.0, 1.0])
    kept.backward(torch.full((5,), gradient))
    inside = [gradient] * 3
    ends = [0.0, gradient] if gradient > 0 else [gradient, 0.0]
    assert values.grad.tolist() == [ends[0], *inside, ends[1]]


def test_inside_of_the_interval_nothing_is_rounded() -> None:
    values = torch.rand(1000, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.equal(into_unit_interval(values), values)


def loop(norm: torch.nn.Module, *, clamp: bool) -> torch.Tensor:
    """Plain gradient descent that first drives the gate out, then back."""
    x = torch.randn(8, 4, 6, 6, generator=torch.Generator().manual_seed(1)) + 2
    optimizer = torch.optim.SGD(norm.parameters(), lr=0.5)
    for sign in (-1, -1, 1, 1, 1):
        optimizer.zero_grad()
        (sign * norm.blend.sum() + norm(x).square().mean()).backward()
        optimizer.step()
        if clamp:
            normlab.clamp_gates(norm)
    return norm.blend.detach()


def test_a_loop_that_never_clamps_keeps_the_blend_and_comes_back() -> None:
    norm = normlab.BatchInstanceNorm2d(4)
    blend = loop(norm, clamp=False)
    assert ((blend >= 0) & (blend <= 1)).all()
    assert (blend < 1).all(), "the gate never came back"


def test_clamping_as_the_paper_does_is_still_the_same_descent() -> None:
    """From a gate that no step moves outside, both loops are equal to the bit."""
    one, other = (normlab.BatchInstanceNorm2d(4, gate=0.5) for _ in range(2))
    x = torch.randn(8, 4, 6, 6, generator=torch.Generator().manual_seed(1))
    for norm, clamp in ((one, False), (other, True)):
        optimizer = torch.optim.SGD(norm.parameters(), lr=1e-3)
        for _ in range(3):
            optimizer.zero_grad()
            norm(x).pow(3).mean().backward()
            optimizer.step()
            if clamp:
                normlab.clamp_gates(norm)
    assert torch.equal(one.gate, other.gate)


@pytest.mark.slow
def test_compiled_it_has_the_same_gradient() -> None:
    values = torch.tensor([-0.5, 0.4, 1.5], requires_grad=True)
    torch.compile(into_unit_interval, backend="aot_eager", fullgraph=True)(values).sum().backward()
    assert values.grad.tolist() == [0.0, 1.0, 1.0]
