"""The GPU's kernels in Triton's interpreter, on tiny shapes, against float64.

The interpreter is chosen when Triton is imported, so the cases run in a process of their own: the
benchmark that prints the errors on a GPU. Shapes are odd, and tiles so small in the second run that
every plane is split over several programs.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import normlab
from normlab.norms.fused.triton import serve
from normlab.testing import TOLERANCES, NormContract

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "kernel_errors.py"
SIX = "bn,in,gn:groups=4,ln,bin"
DTYPES = "float32,bfloat16,float16"
needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="triton is not installed"
)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def errors(
    folder: Path, norms: str = SIX, dtypes: str = DTYPES, tile: int = 4096
) -> dict[tuple[str, ...], float]:
    out = folder / "errors.json"
    done = subprocess.run(
        [
            sys.executable,
            Path(__file__).with_name("interpreted_errors.py"),
            out,
            norms,
            dtypes,
            str(tile),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "OMP_WAIT_POLICY": "passive",
            "TRITON_INTERPRET": "1",
            "NORMLAB_KERNELS": "0",
        },
    )
    assert done.returncode == 0, done.stderr
    return {tuple(row[:-1]): row[-1] for row in json.loads(out.read_text())}


@needs_triton
@pytest.mark.slow
def test_the_six_main_norms_in_every_dtype(tmp_path) -> None:
    found = errors(tmp_path)
    assert len(found) == 7 * 2 * 3 * 5
    for case, error in found.items():
        assert error <= TOLERANCES[getattr(torch, case[3])], case


@needs_triton
@pytest.mark.slow
def test_planes_split_over_programs(tmp_path) -> None:
    found = errors(tmp_path, dtypes="float32", tile=16)
    assert max(found.values()) <= TOLERANCES[torch.float32]


@needs_triton
@pytest.mark.slow
def test_the_other_norms_through_the_four_operators(tmp_path) -> None:
    found = errors(tmp_path, "brn,sn,ibn,rms,grn", "float32")
    assert max(found.values()) <= TOLERANCES[torch.float32]


@needs_triton
@pytest.mark.slow
def test_the_sweeps_go_through_memory_as_it_lies_and_back() -> None:
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("programs_in_order.py")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TRITON_INTERPRET": "1", "NORMLAB_KERNELS": "0"},
    )
    assert done.returncode == 0, done.stderr
    found = {(layout, back): places for layout, back, places in json.loads(done.stdout)}
    for layout in (False, True):
        assert found[layout, False] == sorted(set(found[layout, False]))
        assert len(found[layout, False]) == 3 * 3 * 2
        assert found[layout, True] == found[layout, False][::-1]


@pytest.mark.slow
def test_importing_normlab_imports_no_triton() -> None:
    code = "import sys, normlab, normlab.norms.fused.triton.serve; print('triton' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_without_a_build_for_gpus_nothing_is_registered(monkeypatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None)
    assert not serve.gpu_kernels_available()
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setenv("NORMLAB_KERNELS", "0")
    assert not serve.gpu_kernels_available()


def contract_on_the_gpu(norm: str) -> type[NormContract]:
    class Contract(NormContract):
        device = "cuda"

        def make(self, channels: int) -> nn.Module:
            return normlab.make_norm(norm, channels)

    return needs_gpu(Contract)


TestBatchNormOnTheGPU = contract_on_the_gpu("bn")
TestInstanceNormOnTheGPU = contract_on_the_gpu("in")
TestBatchInstanceNormOnTheGPU = contract_on_the_gpu("bin")
TestLayerNormOnTheGPU = contract_on_the_gpu("ln")
TestGroupNormOnTheGPU = contract_on_the_gpu("gn:groups=4")
TestBatchRenormOnTheGPU = contract_on_the_gpu("brn")
TestSwitchableNormOnTheGPU = contract_on_the_gpu("sn")
TestRMSNormOnTheGPU = contract_on_the_gpu("rms")
TestResponseNormOnTheGPU = contract_on_the_gpu("grn")


@needs_gpu
@pytest.mark.slow
def test_large_shapes_on_the_gpu(tmp_path) -> None:
    out = tmp_path / "errors.json"
    subprocess.run([sys.executable, SCRIPT, "--device", "cuda", "--json", out], check=True)
    for *case, error in json.loads(out.read_text()):
        assert error <= 2 * TOLERANCES[getattr(torch, case[3])], case


@needs_gpu
def test_the_same_bits_every_time_on_the_gpu() -> None:
    x = torch.randn(8, 32, 28, 28, device="cuda")
    one, other = (normlab.make_norm("bin", 32).cuda()(x, activation="relu") for _ in range(2))
    assert torch.equal(one, other)
