"""The machine code of the GPU's kernels, compiled for a chip that need not be there.

    python benchmarks/kernel_code.py                     NVIDIA H100, H200 (sm_90)
    python benchmarks/kernel_code.py --chip 100          B200; 80: A100; 89: L4, RTX 4090
    python benchmarks/kernel_code.py --chip gfx942       AMD MI300

A layer's forward and backward run on tensors without data; what would be launched is compiled
instead. Per kernel, from the smallest to the largest over norms, shapes and layouts: programs of a
launch, registers a thread, warps that fit on a multiprocessor at once, bytes a thread spills to
memory, bytes of its widest read and write, and how many have atomics or arithmetic in float64,
which are slow.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from normlab.norms.fused.arguments import Operands, RunningStatistics, Saved, Scheme
from normlab.norms.fused.triton import fused_norm
from timing import markdown_table

Shape = tuple[int, int, int, int]
SHAPES: dict[str, Shape] = {
    "256x64x56x56": (256, 64, 56, 56),
    "128x16x32x32": (128, 16, 32, 32),
    "64x16x256x256": (64, 16, 256, 256),
    "32x256x14x14": (32, 256, 14, 14),
}
LAYOUTS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
REGISTERS, WARPS = 65536, 64
"""Of a multiprocessor of the chips above."""


@dataclass(frozen=True)
class Code:
    """One kernel as it was compiled."""

    norm: str
    shape: str
    layout: str
    dtype: str
    kernel: str
    programs: int
    registers: int
    spilled: int
    widest_read: int
    widest_write: int
    warps: int
    atomics: bool
    float64: bool


class Chip:
    """What Triton asks a driver for before it launches."""

    def __init__(self, name: str) -> None:
        amd = name.startswith("gfx")
        self.target = GPUTarget("hip", name, 64) if amd else GPUTarget("cuda", int(name), 32)

    def get_current_target(self) -> GPUTarget:
        """Compile for this chip."""
        return self.target

    def get_current_device(self) -> int:
        """There is one."""
        return 0

    def get_current_stream(self, _: int) -> int:
        """Nothing runs on it."""
        return 0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--chip", default="90", help="Compute capability (90), or AMD's gfx942.")
    parser.add_argument("--norms", default="bin,gn")
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--dtypes", default=",".join(DTYPES))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    lists = (options.norms, options.shapes, options.dtypes)
    found = list(compiled(options.chip, *(text.split(",") for text in lists)))
    if options.json:
        options.json.write_text(json.dumps([asdict(code) for code in found], indent=1))
    print(f"chip {options.chip}, Triton {triton.__version__}")
    print(summary(found))


def compiled(
    chip: str, norms: Sequence[str], shapes: Sequence[str], dtypes: Sequence[str]
) -> Iterator[Code]:
    """Every kernel of every case."""
    driver.set_active(Chip(chip))
    launched: list[tuple[JITFunction, tuple[int, ...], Any]] = []
    compile_only = JITFunction.run

    def launch(self: JITFunction, *arguments: Any, grid: Any, warmup: bool, **named: Any) -> None:
        kernel = compile_only(self, *arguments, grid=grid, warmup=True, **named)
        launched.append((self, grid, kernel))

    JITFunction.run = launch
    for shape in shapes:
        for dtype in dtypes:
            for layout in LAYOUTS:
                for norm in norms:
                    launched.clear()
                    run_layer(norm, SHAPES[shape], layout, dtype)
                    for function, grid, kernel in launched:
                        case = (norm, shape, layout, dtype, function.__name__, math.prod(grid))
                        yield Code(*case, **read(kernel))


def run_layer(norm: str, shape: Shape, layout: str, dtype: str) -> None:
    """One layer with ReLU and residual, forward and backward."""
    channels = shape[1]
    batch = norm in ("bn", "bin")
    groups = {"bn": 0, "bin": channels, "in": channels, "gn": 8, "ln": 1}[norm]

    def row() -> torch.Tensor:
        return torch.empty(channels, device="meta")

    x = torch.empty(shape, dtype=DTYPES[dtype], device="meta", memory_format=LAYOUTS[layout])
    residual, dy = torch.empty_like(x), torch.empty_like(x)
    weight, bias = row(), row()
    gate = row() if norm == "bin" else None
    running = None
    if batch:
        batches = torch.empty((), dtype=torch.int64, device="meta")
        running = RunningStatistics(row(), row(), batches, 0.1)
    scheme = Scheme(batch, False, groups, 1e-5, "relu")
    found = fused_norm.forward(Operands(x, residual, weight, bias, gate), running, scheme)
    saved = Saved(x, residual, weight, bias, gate, found.planes, found.statistics)
    fused_norm.backward(dy, saved, scheme, True)


def read(kernel: Any) -> dict[str, Any]:
    """What the machine code says."""
    if "cubin" not in kernel.asm:
        return _read_amd(kernel.asm["amdgcn"])
    folder = Path(triton.__path__[0], "backends", "nvidia", "bin")
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        tool = [str(folder / "cuobjdump"), file.name]
        usage, code = (
            subprocess.run([*tool, option], capture_output=True, text=True, check=True).stdout
            for option in ("-res-usage", "-sass")
        )
    registers, stack = (_number(rf"{key}:(\d+)", usage) for key in ("REG", "STACK"))
    fit = min(WARPS, REGISTERS // (-(-registers // 8) * 8 * 32))
    block: int = kernel.metadata.num_warps
    return {
        "registers": registers,
        "spilled": stack,
        "widest_read": _widest(re.findall(r"\bLDG\.E\S*", code)),
        "widest_write": _widest(re.findall(r"\bSTG\.E\S*", code)),
        "warps": fit // block * block,
        "atomics": bool(re.search(r"\b(ATOM|RED)[.G]", code)),
        "float64": ".f64" in kernel.asm["ptx"],
    }


def _widest(instructions: Sequence[str]) -> int:
    """Bytes; an access without a width is one of four."""
    widths = [re.search(r"\.(?:U|S)?(8|16|64|128)\b", name) for name in instructions]
    return max((int(width[1]) // 8 if width else 4 for width in widths), default=0)


def _read_amd(code: str) -> dict[str, Any]:
    sizes = {"dwordx4": 16, "dwordx3": 12, "dwordx2": 8, "dword": 4}
    reads, writes = (
        [sizes.get(name, 2) for name in re.findall(rf"(?:global|buffer)_{verb}_(\w+)", code)]
        for verb in ("load", "store")
    )
    return {
        "registers": _number(r"; NumVgprs: (\d+)", code),
        "spilled": _number(r"; ScratchSize: (\d+)", code),
        "widest_read": max(reads, default=0),
        "widest_write": max(writes, default=0),
        "warps": 4 * _number(r"; Occupancy: (\d+)", code),
        "atomics": "atomic" in code,
        "float64": "_f64" in code,
    }


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    assert found is not None, pattern
    return int(found[1])


def summary(codes: Sequence[Code]) -> str:
    """A row a kernel and dtype: from the smallest to the largest over norms, shapes, layouts."""
    rows = []
    for key in dict.fromkeys((code.kernel, code.dtype) for code in codes):
        own = [code for code in codes if (code.kernel, code.dtype) == key]
        spans = []
        for name in ("programs", "registers", "warps", "spilled", "widest_read", "widest_write"):
            values = {getattr(code, name) for code in own}
            low, high = min(values), max(values)
            spans.append(str(low) if low == high else f"{low}–{high}")
        rows.append((*key, *spans, *(str(sum(c.atomics or c.float64 for c in own)),)))
    return markdown_table(
        ("kernel", "dtype", "programs", "registers", "warps", "spilled", "reads", "writes", "slow"),
        rows,
    )


if __name__ == "__main__":
    main()
