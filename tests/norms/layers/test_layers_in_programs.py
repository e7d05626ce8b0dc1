"""The layers copied, saved, called as functions, compiled and exported."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from layer_steps import C, images, randomized, step
from normlab.norms.fused.cpu import build
from normlab.norms.spec import make_norm, norm_names
from normlab.testing import assert_close

pytestmark = pytest.mark.usefixtures("one_thread")

ARMS = [*norm_names(), "ln:axes=c"]
WITH_PARAMETERS = [arm for arm in ARMS if arm != "none"]


# ── saving, copying, calling ──────────────────────────────────────────────────────────────────


def assert_twins(layer: nn.Module, twin: nn.Module) -> None:
    for mode in (True, False):
        outputs = [one.train(mode)(images(seed=5)) for one in (layer, twin)]
        assert torch.equal(*outputs)


@pytest.mark.parametrize("arm", ARMS)
def test_copies_made_after_a_step(arm: str) -> None:
    layer = randomized(make_norm(arm, C))
    step(layer, images(), activation="silu")
    saved = io.BytesIO()
    torch.save(layer.state_dict(), saved)
    saved.seek(0)
    loaded = make_norm(arm, C)
    loaded.load_state_dict(torch.load(saved, weights_only=True))
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), loaded):
        assert_twins(copy.deepcopy(layer), twin)


@pytest.mark.parametrize("arm", WITH_PARAMETERS)
def test_functional_call(arm: str) -> None:
    """Parameters given from outside, as meta-learning and ensembles do, get the gradients."""
    layer, other = make_norm(arm, C), randomized(make_norm(arm, C))
    expected = step(other, images())
    given = {name: p.detach().clone().requires_grad_() for name, p in other.named_parameters()}
    x = images().requires_grad_()
    buffers = {name: b.clone() for name, b in layer.named_buffers()}
    y = torch.func.functional_call(layer, {**given, **buffers}, (x,))
    y.backward(images(seed=2))
    found = (y.detach(), x.grad, *(p.grad for p in given.values()))
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert all(p.grad is None for p in layer.parameters())


@pytest.mark.parametrize("arm", ARMS)
def test_on_no_memory_at_all(arm: str) -> None:
    """On the meta device only shapes are computed: how a plan is checked before it runs."""
    with torch.device("meta"):
        layer = make_norm(arm, C)
        x = torch.empty(2, C, 5, 5, requires_grad=True)
        y = layer(x, residual=x, activation="silu")
        y.sum().backward()
    assert y.shape == x.grad.shape == (2, C, 5, 5)
    assert y.device.type == "meta"


# ── compilers ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("arm", ARMS)
def test_compiled_in_one_graph(arm: str, compiler) -> None:
    """The whole training step is captured without a break, with equal numbers and buffers."""
    layer, twin = randomized(make_norm(arm, C)), randomized(make_norm(arm, C))
    compiled = compiler(layer, fullgraph=True, backend="aot_eager")
    for seed in range(2):
        options = {"residual": images(seed=7), "activation": "relu"}
        results = zip(
            step(compiled, images(seed=seed), **options),
            step(twin, images(seed=seed), **options),
            strict=True,
        )
        for one, other in results:
            assert_close(one, other, 1e-5, arm)
    for one, other in zip(layer.buffers(), twin.buffers(), strict=True):
        assert_close(one, other, 1e-6, "buffer")


@pytest.mark.slow
@pytest.mark.skipif(build.compiler() is None, reason="inductor needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")  # torch's own
def test_compiled_by_inductor(compiler) -> None:
    """The default compiler with its generated kernels, for the norm that has every part."""
    layer, twin = (randomized(make_norm("bin", C)) for _ in range(2))
    compiled = compiler(layer, fullgraph=True)
    with torch.no_grad():  # half the time; test_compiled_in_one_graph has the backward
        assert_close(
            compiled(images(), activation="silu"), twin(images(), activation="silu"), 1e-5, "y"
        )
    assert_close(layer.running_var, twin.running_var, 1e-6, "running variance")


@pytest.mark.parametrize("arm", ARMS)
def test_exported_for_evaluation(arm: str) -> None:
    """torch.export sees plain operations: no operator that only normlab has."""
    layer = randomized(make_norm(arm, C)).eval()
    with torch.no_grad():
        program = torch.export.export(layer, (images(),))
        assert_close(program.module()(images()), layer(images()), 1e-6, "y")
    assert "normlab" not in str(program.graph)
