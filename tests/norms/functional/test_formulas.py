"""Every norm against its paper's formula in float64, forward and backward.

The truth is written here in plain operations on x itself, in the papers' notation; nothing of it
comes from the package. dx and the parameters' gradients are automatic differentiation's.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from normlab.norms.functional.activation import ACTIVATIONS
from normlab.norms.spec import make_norm

EPS = 1e-5
SHAPE = (3, 8, 5, 7)
NORMS = ["bn", "in", "bin", "ln", "gn:groups=4", "ln:axes=c", "none", "torch-bn"]
LAYOUTS = {"nchw": torch.contiguous_format, "nhwc": torch.channels_last}
TOLERANCE = {
    torch.float64: 1e-12,
    torch.float32: 5e-6,  # dρ is a small difference of large sums
    torch.bfloat16: 2e-2,
    torch.float16: 3e-3,
}


def over(x: Tensor, *axes: int) -> Tensor:
    """x̂ = (x − mean)/√(variance + ε) over the axes."""
    mean = x.mean(axes, keepdim=True)
    variance = ((x - mean) ** 2).mean(axes, keepdim=True)
    return (x - mean) / torch.sqrt(variance + EPS)


def truth(norm: str, x: Tensor, weight: Tensor, bias: Tensor, gate: Tensor) -> Tensor:
    """The paper's formula, in the dtype of x."""
    n, c, h, w = x.shape
    match norm:
        case "none":
            return x
        case "bn" | "torch-bn":
            normalized = over(x, 0, 2, 3)
        case "in":
            normalized = over(x, 2, 3)
        case "ln":
            normalized = over(x, 1, 2, 3)
        case "ln:axes=c":
            normalized = over(x, 1)
        case "gn:groups=4":
            normalized = over(x.reshape(n, 4, c // 4, h, w), 2, 3, 4).reshape(x.shape)
        case "bin":
            rho = gate[:, None, None]
            normalized = rho * over(x, 0, 2, 3) + (1 - rho) * over(x, 2, 3)
    return weight[:, None, None] * normalized + bias[:, None, None]


def act(z: Tensor, activation: str) -> Tensor:
    return {
        "none": lambda z: z,
        "relu": functional.relu,
        "leaky_relu": functional.leaky_relu,
        "silu": functional.silu,
    }[activation](z)


def relative_error(got: Tensor, expected: Tensor) -> float:
    """Largest deviation relative to the largest expected value."""
    scale = expected.abs().max().clamp_min(1e-12)
    return ((got.double() - expected).abs().max() / scale).item()


def compare(norm: str, layout: str, dtype: torch.dtype, activation: str, fused: bool) -> dict:
    """Relative errors of y and of all gradients against the float64 truth."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    c = SHAPE[1]
    x, residual, dy = 2 * draw(*SHAPE) + 3, draw(*SHAPE), draw(*SHAPE)
    x, residual, dy = (t.to(dtype).double() for t in (x, residual, dy))  # what the layer sees
    parameters = [1 + 0.3 * draw(c), draw(c), torch.rand(c, generator=generator).double()]

    leaves = [t.clone().requires_grad_() for t in (x, residual, *parameters)]
    z = truth(norm, leaves[0], *leaves[2:])
    expected = act(z + leaves[1] if fused else z, activation)
    expected.backward(dy)

    layer = make_norm(norm, c)
    layer = layer.double() if dtype == torch.float64 else layer
    with torch.no_grad():
        for name, value in zip(("weight", "bias", "gate"), parameters, strict=True):
            if getattr(layer, name, None) is not None:
                getattr(layer, name).copy_(value)
    memory = LAYOUTS[layout]
    other = LAYOUTS["nhwc" if layout == "nchw" else "nchw"]
    ours = x.to(dtype).contiguous(memory_format=memory).requires_grad_()
    skip = residual.to(dtype).contiguous(memory_format=memory).requires_grad_()
    y = layer(ours, residual=skip if fused else None, activation=activation)
    assert y.dtype == dtype
    assert y.is_contiguous(memory_format=memory)
    y.backward(dy.to(dtype).contiguous(memory_format=other))  # the gradient in the other layout
    assert ours.grad.dtype == dtype
    assert ours.grad.is_contiguous(memory_format=memory)
    errors = {"y": relative_error(y, expected), "dx": relative_error(ours.grad, leaves[0].grad)}
    if fused:
        errors["dresidual"] = relative_error(skip.grad, leaves[1].grad)
    for name, leaf in zip(("weight", "bias", "gate"), leaves[2:], strict=True):
        parameter = getattr(layer, name, None)
        if parameter is not None:
            errors[f"d{name}"] = relative_error(parameter.grad, leaf.grad)
    return errors


@pytest.mark.parametrize("fused", [False, True], ids=["plain", "residual"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda dtype: str(dtype).removeprefix("torch."))
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("norm", NORMS)
def test_forward_and_backward(norm, layout, dtype, activation, fused) -> None:
    half = dtype in (torch.bfloat16, torch.float16)
    if half and norm == "torch-bn":
        pytest.skip("the framework rounds to half precision before the residual is added")
    errors = compare(norm, layout, dtype, activation, fused)
    slack = 4 if half and norm == "ln:axes=c" else 1  # the framework's layer_norm, in steps
    assert max(errors.values()) < slack * TOLERANCE[dtype], errors


def test_the_comparison_can_fail(monkeypatch) -> None:
    monkeypatch.setattr(
        "normlab.norms.functional.rules.merge", lambda mean, variance, dim: (mean, variance)
    )
    assert compare("bn", "nchw", torch.float64, "relu", True)["y"] > 1e-2


def test_closed_form_of_batch_instance() -> None:
    """The gradients of batch-instance normalization, as derived by hand from S1 and S2.

    A = r_nc·S2,  B = Σ_n r_c(S2 + (μ_nc − μ_c)S1),  D = Σ_n S1:
    dβ = D,  dγ = ρB + (1−ρ)Σ_n A,  dρ = γ(B − Σ_n A),
    p = −γρ r_c² B/(N M) − γ(1−ρ) r_nc² A/M,
    dx = scale·dy + p·x + q,  q = −γρ r_c(D − μ_c r_c B)/(N M) − γ(1−ρ) r_nc(S1 − μ_nc r_nc A)/M.
    """
    generator = torch.Generator().manual_seed(1)
    n, c, h, w = SHAPE
    x, dy = torch.randn(2, *SHAPE, generator=generator, dtype=torch.float64)
    layer = make_norm("bin", c).double()
    with torch.no_grad():
        layer.weight.copy_(torch.randn(c, generator=generator))
        layer.gate.copy_(torch.rand(c, generator=generator))
    x.requires_grad_()
    layer(x).backward(dy)
    gamma, rho, m = layer.weight, layer.gate, h * w
    x_ = x.detach()
    mu_nc, v_nc = x_.mean((2, 3)), x_.var((2, 3), correction=0)
    mu_c, v_c = x_.mean((0, 2, 3)), x_.var((0, 2, 3), correction=0)
    r_nc, r_c = (v_nc + EPS) ** -0.5, (v_c + EPS) ** -0.5
    s1, s2 = dy.sum((2, 3)), (dy * (x_ - mu_nc[:, :, None, None])).sum((2, 3))
    a = r_nc * s2
    b = (r_c * (s2 + (mu_nc - mu_c) * s1)).sum(0)
    d = s1.sum(0)
    torch.testing.assert_close(layer.bias.grad, d)
    torch.testing.assert_close(layer.weight.grad, rho * b + (1 - rho) * a.sum(0))
    torch.testing.assert_close(layer.gate.grad, gamma * (b - a.sum(0)))
    scale = gamma * (rho * r_c + (1 - rho) * r_nc)
    p = -gamma * rho * r_c**2 * b / (n * m) - gamma * (1 - rho) * r_nc**2 * a / m
    q = -gamma * rho * r_c * (d - mu_c * r_c * b) / (n * m)
    q = q - gamma * (1 - rho) * r_nc * (s1 - mu_nc * r_nc * a) / m
    per_plane = [t[:, :, None, None] for t in (scale.expand(n, c), p, q)]
    dx = per_plane[0] * dy + per_plane[1] * x_ + per_plane[2]
    torch.testing.assert_close(x.grad, dx)


@pytest.mark.parametrize("norm", ["bn", "in", "bin", "ln", "gn:groups=2"])
@pytest.mark.parametrize("activation", ["none", "silu"])
def test_gradcheck(norm: str, activation: str) -> None:
    generator = torch.Generator().manual_seed(2)
    # A gate at the end of [0, 1] has no difference quotient: beyond it the layer stays as it is.
    layer = make_norm(f"{norm}:gate=0.7" if norm == "bin" else norm, 4).double()
    x, residual = torch.randn(2, 2, 4, 2, 3, generator=generator, dtype=torch.float64)
    x.requires_grad_()
    residual.requires_grad_()
    parameters = list(layer.parameters())

    def run(x: Tensor, residual: Tensor, *_: Tensor) -> Tensor:
        return layer(x, residual, activation)

    assert torch.autograd.gradcheck(run, (x, residual, *parameters), fast_mode=True)
    assert torch.autograd.gradgradcheck(run, (x, residual, *parameters), fast_mode=True)
