"""The GPU's kernels, compiled for chips that are not there: what their machine code has."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "kernel_code.py"
pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("triton") is None, reason="triton is not installed"
    ),
    pytest.mark.slow,
]
SWEEPS = ("statistics_kernel", "affine_kernel", "sums_kernel", "affine_backward_kernel")


def compiled(folder: Path, *options: str) -> list[dict[str, Any]]:
    out = folder / "code.json"
    done = subprocess.run(
        [sys.executable, SCRIPT, "--json", out, *options],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TRITON_CACHE_DIR": str(folder / "cache")},
    )
    assert done.returncode == 0, done.stderr
    assert "arning" not in done.stderr
    found: list[dict[str, Any]] = json.loads(out.read_text())
    return found


@pytest.fixture(scope="module")
def hopper(tmp_path_factory) -> list[dict[str, Any]]:
    """Of an H100: planes of a multiple of 16 values, and of a multiple of 4."""
    shapes = "128x16x32x32,32x256x14x14"
    return compiled(tmp_path_factory.mktemp("sm_90"), "--chip", "90", "--shapes", shapes)


def test_a_layer_is_three_launches_each_way(hopper) -> None:
    launches = Counter((c["norm"], c["shape"], c["layout"], c["dtype"]) for c in hopper)
    assert len(launches) == 2 * 2 * 2 * 2
    assert set(launches.values()) == {6}


def test_nothing_is_spilled_and_nothing_is_slow(hopper) -> None:
    for code in hopper:
        assert code["spilled"] == 0, code
        assert not code["atomics"], code
        assert not code["float64"], code
        assert code["warps"] >= 12, code  # three programs at once: one reads, one writes


def test_the_sweeps_read_and_write_many_values_at_once(hopper) -> None:
    for code in hopper:
        if code["kernel"] in SWEEPS:
            together = 16 if code["shape"] == "128x16x32x32" else 8
            assert code["widest_read"] >= together, code
            if "affine" in code["kernel"]:
                assert code["widest_write"] >= together, code


def test_every_launch_fills_a_chip(hopper) -> None:
    """132 multiprocessors; a launch between the sweeps has a program a channel or group."""
    for code in hopper:
        if code["kernel"] in SWEEPS:
            assert code["programs"] >= 2 * 132, code


def test_they_compile_for_amd(tmp_path) -> None:
    found = compiled(tmp_path, "--chip", "gfx942", "--shapes", "32x256x14x14")
    assert len(found) == 2 * 2 * 2 * 6
    for code in found:
        assert code["spilled"] == 0, code
        assert not code["atomics"], code
        assert not code["float64"], code
