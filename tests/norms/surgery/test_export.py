"""Our networks through torch's exporter and compiler, ONNX, checkpointing, copying, pickling."""

from __future__ import annotations

import copy
import logging
import pickle
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import normlab
from normlab.errors import UsageError
from normlab.networks.resnet.blocks import BasicBlock
from normlab.norms.fused.cpu import build
from normlab.norms.spec import make_norm, parse_norm
from normlab.testing import assert_close, relative_error

pytestmark = pytest.mark.usefixtures("one_thread")

ARMS = ["bn", "in", "bin", "ln", "gn:groups=4", "ln:axes=c", "torch-bn", "none"]
RUNNING = ["bn", "bin", "torch-bn"]


def images(count: int = 4, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(count, channels, 16, 16, generator=generator)


def network(norm: str) -> nn.Module:
    return normlab.resnet(n=1, num_classes=3, norm=norm, generator=torch.Generator().manual_seed(4))


def block(norm: str) -> nn.Module:
    """Three norms: with an activation, with a residual and an activation, alone."""
    torch.manual_seed(5)
    return BasicBlock(3, 8, 2, parse_norm(norm), "B")


def to_onnx(model: nn.Module, path: Path, x: Tensor) -> Any:
    """A session of onnxruntime for the model in evaluation, for any number of samples."""
    for library in ("onnx", "onnxscript"):
        pytest.importorskip(library)
    onnxruntime = pytest.importorskip("onnxruntime")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # "torchvision is not installed"
    samples = torch.export.Dim("samples", min=1)
    with warnings.catch_warnings():  # torch deprecates what its own exporter uses
        warnings.filterwarnings("ignore", category=FutureWarning, message=".*LeafSpec")
        torch.onnx.export(
            model.eval(), (x,), path, dynamo=True, verbose=False, dynamic_shapes=({0: samples},)
        )
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def run_onnx(session: Any, x: Tensor) -> Tensor:
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return torch.from_numpy(y)


# --- export


@pytest.mark.parametrize("norm", ARMS)
def test_torch_export(norm: str) -> None:
    model = network(norm).eval()
    program = torch.export.export(model, (images(),))
    assert not [n for n in program.graph.nodes if "normlab" in str(n.target)]
    assert_close(program.module()(images()), model(images()), 1e-5, "y")


@pytest.mark.parametrize("norm", ARMS)
def test_onnx(norm: str, tmp_path: Path) -> None:
    model = block(norm)
    model(images() * 2 + 1)  # running statistics of their own
    session = to_onnx(model, tmp_path / "model.onnx", images())
    for count in (4, 7):
        assert_close(run_onnx(session, images(count)), model(images(count)), 1e-5, "y")


@pytest.mark.parametrize(
    "norm",
    [
        *("bn", "bin", "gn:groups=4"),
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("in", "ln", "ln:axes=c", "torch-bn")),
    ],
)
def test_converted_trained_exported(norm: str, tmp_path: Path, libraries: ModuleType) -> None:
    """A torchvision network, another norm, 20 steps, ONNX: run with -s to see the differences."""
    torch.manual_seed(0)
    model = libraries.TorchvisionResNet()
    conversion = normlab.convert_norms(model, norm)
    optimizer = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9)
    x = torch.randn(32, 3, 32, 32)
    labels = torch.arange(32) % 5
    x += labels[:, None, None, None] - 2.0
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        normlab.clamp_gates(model)
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    session = to_onnx(model, tmp_path / "model.onnx", x)
    with torch.no_grad():
        y = model(x)
    largest = relative_error(run_onnx(session, x), y)
    folding = normlab.fold(model)
    with torch.no_grad():
        after = relative_error(model(x), y)
    sys.stdout.write(
        f"\n{norm:12} {len(conversion.layers)} norms, loss {losses[0]:.3f} → {losses[-1]:.3f}, "
        f"ONNX {largest:.1e}, {len(folding.folded)} folded {after:.1e} (relative)"
    )
    assert largest < 1e-5
    assert after < 1e-5


# --- compilation


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", ARMS)
def test_compiled_without_graph_breaks(norm: str, training: bool) -> None:
    compare_with_compiled(block(norm).train(training), "aot_eager")


@pytest.mark.slow
@pytest.mark.skipif(build.compiler() is None, reason="inductor needs a C++ compiler")
@pytest.mark.parametrize("norm", ["bn", "bin"])
def test_compiled_by_inductor(norm: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # inductor's own
        compare_with_compiled(block(norm), "inductor")


def test_frozen_norms_compile() -> None:
    model = block("bn")
    normlab.freeze(model)
    compare_with_compiled(model.train(), "aot_eager")
    assert not model.norm1.running_mean.any()


def compare_with_compiled(model: nn.Module, backend: str) -> None:
    """Output, gradients and running statistics of three calls."""
    other = copy.deepcopy(model)
    torch.compiler.reset()
    compiled = torch.compile(other, backend=backend, fullgraph=True)
    for _ in range(3):
        y, z = model(images()), compiled(images())
        assert_close(z, y, 1e-5, "y")
        y.square().sum().backward()
        z.square().sum().backward()
    for (name, p), q in zip(model.named_parameters(), other.parameters(), strict=True):
        assert p.grad is not None
        assert_close(q.grad, p.grad, 1e-4, name)
    for (name, p), q in zip(model.named_buffers(), other.named_buffers(), strict=True):
        assert_close(q[1], p, 1e-5, name)


# --- checkpointing, copies, functional calls


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("norm", ["bn", "bin", "gn:groups=4", "in", "brn:warmup=2"])
def test_checkpointing_counts_a_batch_once(norm: str, reentrant: bool) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), make_norm(norm, 8), nn.ReLU())
    model(images() + 1)
    other = copy.deepcopy(model)
    x, x2 = images().requires_grad_(), images().requires_grad_()
    y = model(x)
    z = checkpoint(other, x2, use_reentrant=reentrant)
    assert torch.equal(y, z)
    y.square().sum().backward()
    z.square().sum().backward()
    assert torch.equal(x.grad, x2.grad)
    for (name, p), q in zip(model.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(p.grad, q.grad), name
    for (name, p), q in zip(model.named_buffers(), other.buffers(), strict=True):
        assert torch.equal(p, q), name


@pytest.mark.parametrize("nested", [False, True])
def test_checkpointing_calls_of_one_layer(nested: bool) -> None:
    """Batch renormalization computes each call again with the statistics that it had."""

    def gradients(run: Callable[..., Tensor]) -> list[Tensor]:
        model = nn.Sequential(nn.Conv2d(3, 3, 3, bias=False), make_norm("brn:warmup=0", 3))
        torch.manual_seed(0)
        nn.init.normal_(model[0].weight)
        x, other = images() + 3, images() * 3
        y = run(model, 2 * run(model, x)) if nested else run(model, x) * run(model, other)
        y.pow(3).sum().backward()
        return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]

    plain = gradients(lambda model, x: model(x))
    again = gradients(lambda model, x: checkpoint(model, x, use_reentrant=False))
    for one, other in zip(plain, again, strict=True):
        assert_close(other, one, 1e-6, "gradient")


@pytest.mark.parametrize("order", ["compiled inside", "checkpointed inside"])
def test_batch_renorm_is_not_both_compiled_and_checkpointed(order: str, compiler) -> None:
    """The statistics have moved when the compiled forward runs again, which it cannot know."""
    model = nn.Sequential(nn.Conv2d(3, 8, 3), make_norm("brn", 8), nn.Conv2d(8, 8, 3))
    if order == "compiled inside":
        inner = compiler(model, backend="aot_eager")
        run = partial(checkpoint, inner, use_reentrant=False)
    else:
        run = compiler(lambda x: checkpoint(model, x, use_reentrant=False), backend="aot_eager")
    with pytest.raises(UsageError, match="both compiled and checkpointed"):
        run(images()).square().sum().backward()


def test_the_framework_counts_it_twice() -> None:
    """What the test above would find; torch-bn is the framework's own, so it does it too."""
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    checkpoint(model, images(), use_reentrant=False).square().sum().backward()
    assert int(model[1].num_batches_tracked) == 2


@pytest.mark.parametrize("norm", ARMS)
def test_copies_and_pickles(norm: str) -> None:
    model = network(norm)
    model(images())
    model.eval()
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(copied(images()), model(images()))
        first, second = next(copied.parameters()), next(model.parameters())
        assert first.data_ptr() != second.data_ptr()


@pytest.mark.parametrize("norm", ARMS)
def test_functional_call(norm: str) -> None:
    model, other = network(norm).eval(), normlab.resnet(n=1, num_classes=3, norm=norm).eval()
    expected = other(images())
    weights = {name: value.detach() for name, value in other.state_dict().items()}
    assert torch.equal(torch.func.functional_call(model, weights, (images(),)), expected)
    assert not torch.equal(model(images()), expected)


# --- states and devices that cannot be used


@pytest.mark.parametrize(("value", "end"), [(1.0015, 1.0), (-0.5, 0.0)])
def test_a_gate_outside_of_its_interval_loads_and_blends_as_at_its_end(value, end) -> None:
    model, other = network("bin").eval(), network("bin").eval()
    state = copy.deepcopy(model.state_dict())
    state["stem.norm.gate"][2] = end
    other.load_state_dict(state)
    state["stem.norm.gate"][2] = value
    model.load_state_dict(state)
    assert torch.equal(model(images()), other(images()))


@pytest.mark.parametrize("norm", ["bn", "in", "bin", "ln", "gn:groups=4", "ln:axes=c", "torch-bn"])
def test_mixed_devices(norm: str) -> None:
    layer = make_norm(norm, 8)
    x = images(channels=8)
    with pytest.raises(UsageError, match="2d is on cpu, got x on meta; move one"):
        layer(x.to("meta"))
    with pytest.raises(UsageError, match="the residual is on meta, x on cpu; move one"):
        layer(x, residual=x.to("meta"))
    assert layer.to("meta")(x.to("meta")).device.type == "meta"


def test_mixed_devices_without_a_scale() -> None:
    with pytest.raises(UsageError, match="BatchNorm2d is on meta, got x on cpu"):
        normlab.BatchNorm2d(8, affine=False, device="meta")(images(channels=8))
