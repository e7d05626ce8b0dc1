"""The six main norms as one operator in compiled code: registration, graphs, numbers, layouts."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import normlab
from normlab.norms.fused import compiled_graph
from normlab.norms.fused.cpu import loader
from normlab.testing import MEMORY_FORMATS, assert_close

pytestmark = pytest.mark.skipif(
    loader.library_path() is None, reason="no compiled kernel (no C++ compiler, or switched off)"
)
C = 8
SIX = ("bn", "in", "gn:groups=4", "ln", "bin")


@pytest.fixture
def graphs():
    """The graphs that torch.compile makes of a module, in the order in which they come."""
    torch.compiler.reset()
    found = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> torch.fx.GraphModule:
        found.append(graph)
        return graph

    yield found, backend
    torch.compiler.reset()


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape or (3, C, 5, 4), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("norm", SIX)
def test_a_layer_is_one_operator(norm, graphs) -> None:
    found, backend = graphs
    layer = normlab.make_norm(norm, C)
    torch.compile(layer, backend=backend, fullgraph=True)(draw(), activation="relu")
    (graph,) = found
    targets = [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]
    assert sum("fused_norm" in target for target in targets) == 1
    assert not any("var_mean" in target or "rsqrt" in target for target in targets)


@pytest.mark.parametrize("needs_dz", [False, True])
@pytest.mark.parametrize(("batch", "groups"), [(True, 0), (False, C), (False, 2), (True, C)])
def test_opcheck(batch, groups, needs_dz) -> None:
    x, weight, bias = (t.requires_grad_() for t in (draw(), draw(C), draw(C, seed=1)))
    residual = draw(seed=2).requires_grad_(needs_dz)
    gate = (draw(C).sigmoid()).detach().requires_grad_() if batch and groups else None
    torch.library.opcheck(
        compiled_graph.OPERATOR,
        (x, residual, weight, bias, gate, None, None, batch, False, groups, 1e-5, "relu", True),
    )


@pytest.mark.parametrize("layout", MEMORY_FORMATS)
@pytest.mark.parametrize("norm", SIX)
def test_the_numbers_and_strides_of_eager_code(norm, layout) -> None:
    torch.compiler.reset()
    layer = normlab.make_norm(norm, C)
    twin = copy.deepcopy(layer)
    compiled = torch.compile(twin, backend="aot_eager", fullgraph=True)
    for seed in range(2):
        results = []
        for call in (layer, compiled):
            x = draw(seed=seed).contiguous(memory_format=MEMORY_FORMATS[layout]).requires_grad_()
            residual = draw(seed=seed + 5).requires_grad_()
            y = call(x, residual=residual, activation="silu")
            y.backward(draw(seed=9))
            results.append((y, x.grad, residual.grad))
        for one, other in zip(*results, strict=True):
            assert one.stride() == other.stride()
            assert_close(other, one, 1e-6, norm)
    for (name, one), other in zip(layer.named_parameters(), twin.parameters(), strict=True):
        assert_close(other.grad, one.grad, 1e-6, name)
    for (name, one), other in zip(layer.named_buffers(), twin.buffers(), strict=True):
        assert_close(other, one, 1e-6, name)
    torch.compiler.reset()


def test_an_average_over_all_batches(graphs) -> None:
    _, backend = graphs
    layer = normlab.BatchNorm2d(C, momentum=None)
    twin = copy.deepcopy(layer)
    compiled = torch.compile(twin, backend=backend, fullgraph=True)
    for seed in range(3):
        layer(draw(seed=seed))
        compiled(draw(seed=seed))
    assert_close(twin.running_mean, layer.running_mean, 1e-6, "mean")
    assert_close(twin.running_var, layer.running_var, 1e-6, "variance")
    assert int(twin.num_batches_tracked) == 3


def test_a_view_stays_with_plain_operations(graphs) -> None:
    found, backend = graphs
    layer = normlab.make_norm("gn:groups=4", C)
    x = draw(3, C, 5, 8)[..., ::2]
    y = torch.compile(layer, backend=backend, fullgraph=True)(x)
    assert_close(y, layer(x), 1e-6, "y")
    assert "normlab" not in str(found[0].graph)


def test_whole_networks_compile_with_it(graphs) -> None:
    found, backend = graphs
    network = normlab.resnet(1, 5, "bin", generator=torch.Generator().manual_seed(0))
    twin = copy.deepcopy(network)
    compiled = torch.compile(twin, backend=backend, fullgraph=True)
    x, labels = draw(6, 3, 12, 12), torch.arange(6) % 5
    for model in (network, compiled):
        nn.functional.cross_entropy(model(x), labels).backward()
    for (name, one), other in zip(network.named_parameters(), twin.parameters(), strict=True):
        assert_close(other.grad, one.grad, 2e-5, name)
    assert str(found[0].graph).count("normlab.fused_norm_of_graph") == 7
