"""Derivatives by autograd's other ways: create_graph, many gradients at once, forward mode."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jvp

import normlab
from normlab.norms.spec import make_norm, norm_names
from normlab.testing import assert_close

pytestmark = pytest.mark.usefixtures("one_thread")

TORCHSCRIPT = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own
NORMS = norm_names()
DTYPES = [torch.float32, torch.float64]


def made(norm: str, dtype: torch.dtype) -> nn.Module:
    return make_norm(norm, 8).to(dtype)


def random(*shape: int, seed: int, dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("norm", NORMS)
def test_a_graph_of_the_gradients_changes_none(norm: str, dtype: torch.dtype) -> None:
    """Also where x was computed from the residual, as in every residual block."""
    h = random(3, 8, 5, 5, seed=1, dtype=dtype).requires_grad_()
    kernel = random(8, 8, 3, 3, seed=2, dtype=dtype)
    weights = random(3, 8, 5, 5, seed=3, dtype=dtype)
    module = made(norm, dtype)
    found = []
    for create_graph in (False, True):
        x = nn.functional.conv2d(h, kernel, padding=1)
        y = copy.deepcopy(module)(x, residual=h, activation="silu")
        found += torch.autograd.grad((y * weights).sum(), h, create_graph=create_graph)
    assert_close(found[1], found[0], 2e-5 if dtype is torch.float32 else 1e-12, "dh")


@TORCHSCRIPT
@pytest.mark.parametrize("norm", ["bn", "bin", "gn:groups=2", "brn"])
def test_hessian_times_vector_of_a_network(norm: str) -> None:
    """By create_graph as by torch.func, which differentiates plain operations."""
    network = normlab.resnet(
        n=1, num_classes=3, norm=norm, generator=torch.Generator().manual_seed(0)
    ).double()
    x = random(4, 3, 16, 16, seed=4, dtype=torch.float64)
    weights = dict(network.named_parameters())
    direction = {n: random(*w.shape, seed=5, dtype=torch.float64) for n, w in weights.items()}
    state = {name: buffer.clone() for name, buffer in network.named_buffers()}

    def loss(values: dict[str, Tensor]) -> Tensor:
        buffers = {name: buffer.clone() for name, buffer in state.items()}
        y: Tensor = functional_call(network, {**values, **buffers}, (x,))
        return y.logsumexp(1).sum()

    _, expected = jvp(grad(loss), (weights,), (direction,))
    gradients = torch.autograd.grad(loss(weights), weights.values(), create_graph=True)
    along = sum((g * d).sum() for g, d in zip(gradients, direction.values(), strict=True))
    product = torch.autograd.grad(along, weights.values(), allow_unused=True)
    for name, value in zip(weights, product, strict=True):
        if value is not None:
            assert_close(value, expected[name], 1e-9, name)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("norm", NORMS)
def test_many_gradients_in_one_call(norm: str, dtype: torch.dtype) -> None:
    x = random(2, 8, 3, 3, seed=1, dtype=dtype).requires_grad_()
    dys = random(3, 2, 8, 3, 3, seed=2, dtype=dtype)
    y = made(norm, dtype)(x, activation="relu")
    (together,) = torch.autograd.grad(y, x, dys, is_grads_batched=True, retain_graph=True)
    for index, dy in enumerate(dys):
        (alone,) = torch.autograd.grad(y, x, dy, retain_graph=True)
        assert_close(together[index], alone, 2e-5 if dtype is torch.float32 else 1e-12, "dx")


@TORCHSCRIPT
@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("norm", NORMS)
def test_forward_mode(norm: str, training: bool, trainable: bool) -> None:
    """The tangent of y along t is the product of the Jacobian and t: dy·(J t) = (dy J)·t."""
    x, t, dy = (random(2, 8, 3, 3, seed=seed, dtype=torch.float64) for seed in (1, 2, 3))
    module = made(norm, torch.float64).train(training).requires_grad_(trainable)
    twin = copy.deepcopy(module)
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(module(forward_ad.make_dual(x, t))).tangent
    leaf = x.clone().requires_grad_()
    (dx,) = torch.autograd.grad(twin(leaf), leaf, dy)
    along = float((dy * tangent.detach()).sum())
    assert along == pytest.approx(float((dx * t).sum()), rel=1e-9, abs=1e-9)
