"""Norms in one call each way by written-out derivatives, against the same layers in float64."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import normlab
from normlab.norms.fused import closed
from normlab.norms.fused.cpu import loader
from normlab.norms.layers.batch_variants import BatchRenorm2d, SwitchableNorm2d
from normlab.norms.layers.rms import GlobalResponseNorm2d
from normlab.norms.spec import make_norm
from normlab.testing import relative_error

pytestmark = pytest.mark.skipif(loader.library_path() is None, reason="there is no compiled kernel")
NORMS = ("brn:warmup=0", "brn:momentum=none", "sn", "sn:momentum=none", "grn")
SHAPES = ((4, 6, 17, 19), (2, 48, 1, 2), (1, 4, 130, 130), (3, 1, 5, 5))


def layer(name: str, channels: int) -> nn.Module:
    """The layer with parameters and running statistics that are no round numbers."""
    torch.manual_seed(0)
    made = make_norm(name.partition(":momentum")[0], channels)
    if "momentum=none" in name:
        made.momentum = None
    for parameter in made.parameters():
        nn.init.normal_(parameter)
    if name != "grn":
        made.running_mean.normal_()
        made.running_var.uniform_(0.5, 2)
    return made


def two_steps(made: nn.Module, shape: tuple[int, ...], layout: torch.memory_format) -> list[Tensor]:
    """Value, gradients and running statistics of two calls in training."""
    generator = torch.Generator().manual_seed(1)
    dtype = next(made.parameters()).dtype
    found = []
    for _ in range(2):
        x, residual, dy = (
            torch.randn(shape, generator=generator).to(memory_format=layout).to(dtype)
            for _ in range(3)
        )
        x = (2 * x + 1).requires_grad_()
        residual.requires_grad_()
        made.zero_grad()
        y = made(x, residual, "silu")
        assert shape[1] == 1 or y.stride() == x.stride()
        y.backward(dy)
        found += [y.detach(), x.grad, residual.grad]
        found += [p.grad.clone() for p in made.parameters()]
    return [*found, *(b.clone() for b in made.buffers())]


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", SHAPES)
def test_values_gradients_and_running_statistics_are_those_of_float64(name, layout, shape) -> None:
    own = layer(name, shape[1])
    exact = two_steps(copy.deepcopy(own).double(), shape, layout)
    for found, true in zip(two_steps(own, shape, layout), exact, strict=True):
        # A parameter's gradient is a sum of values of both signs; sn's six numbers' above all.
        bound = 3e-6 if true.dim() == 4 else 2e-4 if true.shape == (3,) else 2e-5
        assert relative_error(found, true) < bound


def test_the_kernel_serves_and_is_left_aside_for_what_it_does_not(monkeypatch) -> None:
    called = []
    operator = closed._forward
    monkeypatch.setattr(closed, "_forward", lambda *a: called.append(1) or operator(*a))
    x = torch.randn(2, 4, 3, 3)
    for made in (BatchRenorm2d(4), SwitchableNorm2d(4), GlobalResponseNorm2d(4)):
        called.clear()
        made(x)
        assert called
        made.double()(x.double())
        torch.func.vmap(made.float().eval())(x[None])
        made.train()
        made(x[:0]) if isinstance(made, GlobalResponseNorm2d) else None
        assert len(called) == 1


@pytest.mark.parametrize("name", ["brn:warmup=0", "sn", "grn", "frn", "evonorm-s0:groups=2", "dyt"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_number_of_threads_changes_no_bit(name, layout) -> None:
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            made = make_norm(name, 12)
            results.append(two_steps(made, (5, 12, 40, 40), layout))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("name", ["brn:warmup=0", "sn", "grn"])
def test_the_backward_can_be_differentiated(name) -> None:
    def penalty(made: nn.Module, dtype: torch.dtype) -> Tensor:
        x = torch.randn(3, 4, 5, 5, generator=torch.Generator().manual_seed(3)).to(dtype)
        x.requires_grad_()
        (dx,) = torch.autograd.grad(made(x, None, "silu").pow(3).sum(), x, create_graph=True)
        dx.square().sum().backward()
        return x.grad

    own = layer(name, 4)
    exact = penalty(copy.deepcopy(own).double(), torch.float64)
    assert relative_error(penalty(own, torch.float32), exact) < 1e-4


@pytest.mark.parametrize("with_residual", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_frozen_batch_norm_is_trained_by_the_kernel(with_residual, layout) -> None:
    made = normlab.BatchNorm2d(6, frozen=True)
    for t in (*made.parameters(), made.running_mean):
        nn.init.normal_(t)
    made.running_var.uniform_(0.5, 2)
    results = []
    for twin, dtype in ((made, torch.float32), (copy.deepcopy(made).double(), torch.float64)):
        generator = torch.Generator().manual_seed(2)
        x, residual, dy = (
            torch.randn(3, 6, 40, 33, generator=generator).to(memory_format=layout).to(dtype)
            for _ in range(3)
        )
        x.requires_grad_()
        residual.requires_grad_()
        y = twin(x, residual if with_residual else None, "relu")
        y.backward(dy)
        others = [residual.grad] if with_residual else []
        results.append([y, x.grad, *others, *(p.grad for p in twin.parameters())])
        assert type(y.grad_fn).__name__.startswith("_FusedNorm") == (dtype is torch.float32)
    for found, true in zip(*results, strict=True):
        assert relative_error(found, true) < 3e-6


def test_curved_norms_keep_nothing_but_x() -> None:
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    x = torch.randn(4, 8, 32, 32, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        for name in ("frn", "evonorm-s0:groups=2", "dyt", "grn", "sn", "brn"):
            kept.clear()
            make_norm(name, 8)(x, None, "relu")
            assert sum(kept.values()) < 1.1 * x.untyped_storage().nbytes(), name
