"""The kernel's loops compiled for other processors, one of them in an emulator, against float64.

The machine that tests run on has one instruction set; users have others. The headers of the kernel
are compiled without torch, for ARM (NEON) run by QEMU, for AVX2 and for plain x86-64.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from normlab.norms.functional import rules
from normlab.norms.functional.activation import activate
from normlab.norms.functional.engine import plane_norm
from normlab.norms.fused.cpu import build

HERE = Path(__file__).parent
PROCESSORS = {
    "arm64": (["aarch64-linux-gnu-g++", "-static"], ["qemu-aarch64"]),
    "avx512": (["g++", *build.INSTRUCTION_SETS["avx512"]], []),
    "avx2": (["g++", *build.INSTRUCTION_SETS["avx2"]], []),
    "x86-64": (["g++"], []),
}
ACTIVATIONS = ("none", "relu", "leaky_relu", "silu")
"""In the order of sweeps.h."""


def has_instructions(name: str) -> bool:
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8") if name != "arm64" else ""
    wanted = {"avx512": "avx512bw", "avx2": "avx2"}.get(name, "")
    return name == "arm64" or (platform.machine() == "x86_64" and wanted in flags)


@pytest.fixture(scope="module", params=PROCESSORS)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that runs the driver on such a processor."""
    compiler, emulator = PROCESSORS[request.param]
    for tool in (compiler[0], *emulator):
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool}")
    if not has_instructions(request.param):
        pytest.skip(f"this processor has no {request.param}")
    folder = tmp_path_factory.mktemp("driver")
    stub = folder / "torch/csrc/stable/ops.h"
    stub.parent.mkdir(parents=True)
    stub.write_text("#pragma once\n")
    command = [*compiler, "-std=c++17", "-O2", "-ffp-contract=fast", f"-I{folder}"]
    command += [f"-I{build.FOLDER}", str(HERE / "other_processors.cpp"), "-o", str(folder / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [*emulator, str(folder / "run")]


def expected(given: dict[str, Tensor], activation: str) -> Iterator[tuple[str, list[Tensor]]]:
    """Every norm of the driver with y, dx, dz and the gradients of its parameters, in its order."""
    x, residual, dy = given["x"], given["residual"], given["dy"]
    weight, bias, gate = given["weight"], given["bias"], given["gate"]
    eps = 1e-5
    both, pixels = [weight, bias], x.shape[2] * x.shape[3]

    def gradients(name, function, parameters, count=None):
        leaves = [t.clone().requires_grad_() for t in (x, residual, *parameters)]
        y = function(leaves[0], leaves[1], *leaves[2:])
        found = torch.autograd.grad(y, leaves, dy)
        return name, [y.detach(), *found][: None if count is None else 3 + count]

    def by_rule(rule):
        return lambda x, r, *own: plane_norm(x, rule, own, r, activation)[0]

    def per_channel(values):
        return values[:, None, None]

    yield gradients("bn", by_rule(partial(rules.batch, eps=eps)), both)
    yield gradients("in", by_rule(partial(rules.instance, eps=eps)), both)
    yield gradients("gn", by_rule(partial(rules.group, num_groups=2, eps=eps)), both)
    yield gradients("rms", by_rule(partial(rules.root_mean_square, eps=eps)), both)
    yield gradients("bin", by_rule(partial(rules.batch_instance, eps=eps)), [*both, gate], 2)
    running = (given["mean"], given["variance"])
    limits = {"r_max": torch.tensor(3.0), "d_max": torch.tensor(5.0)}
    renorm = partial(rules.batch_renorm, running=running, eps=eps, **limits)
    yield gradients("brn", by_rule(renorm), both)
    shares = [given["shares"][:3], given["shares"][3:]]
    yield gradients("sn", by_rule(partial(rules.switchable, eps=eps)), [*both, *shares])
    response = partial(rules.global_response, plane_size=pixels, eps=eps)
    yield gradients("grn", by_rule(response), both)

    def frn(x, r, w, b, slope):
        z = w[:, None, None] * x * (x.square().mean((2, 3), keepdim=True) + eps).rsqrt()
        return torch.maximum(z + per_channel(b) + r, per_channel(slope))

    def evonorm(x, r, w, b, slope):
        n, c = x.shape[:2]
        variance = x.reshape(n, 2, -1).var(2, correction=0).repeat_interleave(c // 2, 1)
        scale = (variance + eps).rsqrt()[..., None, None] * per_channel(w)
        return activate(
            scale * x * torch.sigmoid(per_channel(slope) * x) + per_channel(b) + r, activation
        )

    def dyt(x, r, w, b, slope):
        return activate(
            per_channel(w) * torch.tanh(per_channel(slope) * x) + per_channel(b) + r, activation
        )

    for function in (frn, evonorm, dyt):
        yield gradients(function.__name__, function, [*both, gate])


@pytest.mark.slow
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("activation", ["relu", "silu"])
@pytest.mark.parametrize("shape", [(3, 6, 17, 19), (2, 48, 3, 5), (2, 4, 90, 120)])
def test_values_and_gradients_are_those_of_float64(
    program, shape, activation, channels_last
) -> None:
    generator = torch.Generator().manual_seed(0)
    n, c, height, width = shape
    layout = torch.channels_last if channels_last else torch.contiguous_format
    given = {
        key: torch.randn(shape, generator=generator).to(memory_format=layout)
        for key in ("x", "residual", "dy")
    }
    given["x"] = 2 * given["x"] + 0.5
    for key in ("weight", "bias", "mean"):
        given[key] = torch.randn(c, generator=generator)
    given["gate"] = torch.rand(c, generator=generator)
    given["variance"] = torch.rand(c, generator=generator) + 0.5
    given["shares"] = torch.randn(6, generator=generator)

    head = (n, c, height * width, int(channels_last), ACTIVATIONS.index(activation))
    order = ("x", "residual", "dy", "weight", "bias", "gate", "mean", "variance", "shares")
    sent = np.array(head, "int64").tobytes() + b"".join(in_memory(given[key]) for key in order)
    done = subprocess.run(program, input=sent, capture_output=True, check=True)
    got = np.frombuffer(done.stdout, "float32")
    exact = {key: values.double() for key, values in given.items()}
    for name, values in expected(exact, activation):
        for place, true in enumerate(values):
            own, got = torch.tensor(got[: true.numel()]), got[true.numel() :]
            if true.dim() == 4 and channels_last:
                own = own.reshape(n, height, width, c).permute(0, 3, 1, 2)
            own = own.reshape(true.shape).double()
            # A parameter's gradient is a sum of many values of both signs; where a value falls on
            # the kink of an activation is for float32 to say, so a few may differ there.
            smallest = 1.0 if true.dim() == 4 else given["x"].numel() ** 0.5
            far = (own - true).abs() > 1e-5 * true.abs().max().clamp(min=smallest)
            assert far.double().mean() <= 1e-4 * (true.dim() == 4), (name, place)
    assert got.size == 0


def in_memory(values: Tensor) -> bytes:
    """The numbers as they lie in memory."""
    if values.dim() == 4 and not values.is_contiguous():
        values = values.permute(0, 2, 3, 1)
    return values.numpy().tobytes()
