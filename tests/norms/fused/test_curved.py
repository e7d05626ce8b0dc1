"""Norms that are no affine map, by the compiled kernel, against plain operations in float64."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
import torch
from torch import Tensor

from normlab.norms.functional.activation import ACTIVATIONS, Activation
from normlab.norms.fused import curved
from normlab.norms.fused.cpu import loader
from normlab.norms.fused.curved import CurvedScheme, curved_norm
from normlab.norms.layers.activation_norms import (
    DynamicTanh2d,
    EvoNormS0,
    _dynamic_tanh,
    _evonorm_s0,
)
from normlab.norms.layers.rms import FilterResponseNorm2d, _thresholded_response

pytestmark = pytest.mark.skipif(loader.library_path() is None, reason="there is no compiled kernel")
SHAPES = ((2, 4, 3, 3), (3, 6, 17, 19), (1, 48, 1, 1), (2, 2, 130, 130))


def evonorm(activation: Activation, channels: int) -> tuple[CurvedScheme, list[Tensor]]:
    facts = {"num_groups": 2, "eps": 1e-5}
    plain = partial(_evonorm_s0, activation=activation, **facts)
    scheme = CurvedScheme("swish", plain, scale="deviation", groups=2, eps=1e-5)
    return scheme, [torch.randn(channels) for _ in range(3)]


def tanh(activation: Activation, channels: int) -> tuple[CurvedScheme, list[Tensor]]:
    plain = partial(_dynamic_tanh, activation=activation)
    scheme = CurvedScheme("tanh", plain)
    return scheme, [torch.rand(1) + 0.5, torch.randn(channels), torch.randn(channels)]


def response(activation: Activation, channels: int) -> tuple[CurvedScheme, list[Tensor]]:
    """The threshold takes the place of the activation."""
    plain = partial(_thresholded_response, eps=1e-6)
    scheme = CurvedScheme("threshold", plain, scale="response", eps=1e-6)
    return scheme, [torch.randn(channels) for _ in range(3)]


def found(function, x: Tensor, residual: Tensor | None, parameters: Sequence[Tensor], dy: Tensor):
    """The value and all gradients."""
    own = [None if t is None else t.detach().requires_grad_() for t in (x, residual, *parameters)]
    y = function(own[0], own[1], own[2:])
    y.backward(dy.to(y.dtype))
    return [y.detach(), *(t.grad for t in own if t is not None)]


def double(t: Tensor | None) -> Tensor | None:
    return None if t is None else t.double()


@pytest.mark.parametrize("make", [evonorm, tanh, response])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("has_residual", [False, True])
@pytest.mark.parametrize("channels_last", [False, True])
def test_value_and_gradients_are_those_of_float64(
    make, activation, has_residual, channels_last
) -> None:
    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    for shape in SHAPES:
        x, residual, dy = (torch.randn(shape).to(memory_format=layout) for _ in range(3))
        x = 2 * x + 0.5
        residual = residual if has_residual else None
        scheme, parameters = make(activation, shape[1])
        own = found(
            lambda x, r, p, s=scheme: curved_norm(x, r, p, activation, s),
            x, residual, parameters, dy,
        )  # fmt: skip
        exact = found(
            lambda x, r, p, s=scheme: s.plain(x, r, *p),
            x.double(), double(residual), [p.double() for p in parameters], dy.double(),
        )  # fmt: skip
        assert own[0].stride() == x.stride()
        for ours, true in zip(own, exact, strict=True):
            # A parameter's gradient is a sum of many values of both signs.
            smallest = 1.0 if true.shape == x.shape else x.numel() ** 0.5
            size = true.abs().max().clamp(min=smallest)
            assert (ours.double() - true).abs().max() <= 3e-6 * size


def test_the_kernel_serves_and_is_left_aside_for_what_it_does_not(monkeypatch) -> None:
    called = []
    monkeypatch.setattr(
        curved, "_forward", lambda *a: called.append(a) or torch.ops.normlab.curved_norm.default(*a)
    )
    norm = EvoNormS0(2, 4)
    x = torch.randn(2, 4, 3, 3)
    norm(x)
    assert len(called) == 1
    norm.double()(x.double())
    torch.func.vmap(norm.float())(x[None])
    norm(x[:0])
    assert len(called) == 1
    DynamicTanh2d(4)(x)
    assert len(called) == 2


@pytest.mark.parametrize("layer", [EvoNormS0(2, 4), DynamicTanh2d(4), FilterResponseNorm2d(4)])
def test_the_backward_can_be_differentiated(layer) -> None:
    x = torch.randn(2, 4, 3, 3, requires_grad=True)
    residual = torch.randn(2, 4, 3, 3, requires_grad=True)
    (first,) = torch.autograd.grad(
        layer(x, residual=residual, activation="silu").square().sum(), x, create_graph=True
    )
    (second,) = torch.autograd.grad(first.sum(), x)
    twin = layer.double()
    x64 = x.detach().double().requires_grad_()
    r64 = residual.detach().double()
    (first64,) = torch.autograd.grad(
        twin(x64, residual=r64, activation="silu").square().sum(), x64, create_graph=True
    )
    (second64,) = torch.autograd.grad(first64.sum(), x64)
    layer.float()
    assert torch.allclose(second.double(), second64, rtol=1e-3, atol=1e-3)


def test_ends_of_the_number_line() -> None:
    values = torch.tensor([0.0, 1e-30, -1e-4, 0.6249, 0.6251, -9.0, 50.0, -3e38, float("nan")])
    x = values.reshape(1, 1, 3, 3)
    own = DynamicTanh2d(1, alpha=1.0)(x).flatten()
    assert torch.isnan(own[-1])
    true = torch.tanh(values[:-1].double())
    assert ((own[:-1].double() - true).abs() <= 3e-7 * true.abs()).all()


def test_half_precision_is_rounded_once() -> None:
    torch.manual_seed(1)
    x = torch.randn(2, 4, 9, 9).bfloat16()
    for layer in (EvoNormS0(2, 4), DynamicTanh2d(4), FilterResponseNorm2d(4)):
        own = layer(x)
        assert own.dtype is torch.bfloat16
        exact = layer.double()(x.double())
        assert (own.double() - exact).abs().max() <= 2**-8 * exact.abs().max()
        layer.float()
