"""Largest relative error of every norm against float64: norm × layout × dtype × what is fused.

    python benchmarks/kernel_errors.py                        the CPU's kernel
    python benchmarks/kernel_errors.py --device cuda          the GPU's, in Triton

tests/norms/fused/interpreted_errors.py measures the GPU's in Triton's interpreter, without a GPU.
The error is that of normlab.testing.relative_error, max|a − b|/max|b|, over the output, all
gradients and the running statistics; the layer in float64 runs on the reference operators.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

NORMS = ("bn", "in", "gn:groups=4", "ln", "bin")
TWO_MODES = ("bn", "bin", "brn", "sn", "ibn", "gbn", "torch-bn")
"""Running statistics make evaluation differ."""
SHAPES = ((4, 16, 33, 31), (8, 32, 14, 14), (2, 64, 56, 56))
LAYOUTS = ("nchw", "channels_last")
DTYPES = ("float32", "bfloat16", "float16")
FUSED = (("none", False), ("relu", False), ("relu", True), ("silu", True), ("leaky_relu", True))
"""Activation, and whether there is a residual."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--norms", default=",".join(NORMS))
    parser.add_argument("--dtypes", default=",".join(DTYPES))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    from normlab.norms.spec import norm_names
    from timing import machine, markdown_table

    dtypes = options.dtypes.split(",")
    norms = norm_names() if options.norms == "all" else options.norms.split(",")
    found = dict(measure(norms, dtypes, options.device, SHAPES))
    if options.json:
        rows = [[*key, value] for key, value in found.items()]
        options.json.write_text(json.dumps(rows, indent=1))
    print(machine(options.device).sentence())
    head = ("norm", "mode", *(f"{layout}, {dtype}" for layout in LAYOUTS for dtype in dtypes))
    lines = {}
    for (norm, mode, layout, dtype, *_), error in found.items():
        column = (layout, dtype)
        row = lines.setdefault((norm, mode), {})
        row[column] = max(row.get(column, 0.0), error)
    print(
        markdown_table(
            head,
            [
                (*key, *(f"{row[layout, dtype]:.0e}" for layout in LAYOUTS for dtype in dtypes))
                for key, row in lines.items()
            ],
        )
    )


Shape = tuple[int, int, int, int]
Case = tuple[str, str, str, str, str, bool]


def measure(
    norms: Sequence[str], dtypes: Sequence[str], device: str, shapes: Sequence[Shape]
) -> Iterator[tuple[Case, float]]:
    """Norm, mode, layout, dtype, activation, residual → the largest error."""
    for norm in norms:
        for mode in (
            ("training", "evaluation") if norm.split(":")[0] in TWO_MODES else ("training",)
        ):
            for layout in LAYOUTS:
                for dtype in dtypes:
                    for activation, residual in FUSED:
                        case = (norm, mode, layout, dtype, activation, residual)
                        yield case, max(error(case, shape, device) for shape in shapes)


def error(case: Case, shape: Shape, device: str) -> float:
    """The largest error of one layer, forward and backward."""
    import torch

    import normlab
    from normlab.testing import relative_error

    norm, mode, layout, dtype, activation, has_residual = case
    generator = torch.Generator().manual_seed(0)
    layer = normlab.make_norm(norm, shape[1])
    with torch.no_grad():
        for tensor in layer.parameters():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.8 + 0.1)
        for name, tensor in layer.named_buffers():
            if tensor.is_floating_point():
                offset = 0.5 if name.endswith("var") else 0.0
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + offset)
    layer.train(mode == "training")
    exact, layer = copy.deepcopy(layer).double(), layer.to(device)
    kind = getattr(torch, dtype)
    form = torch.channels_last if layout == "channels_last" else torch.contiguous_format

    def drawn(offset: float) -> torch.Tensor:
        values = 2 * torch.randn(shape, generator=generator) + offset
        return values.to(kind).contiguous(memory_format=form)

    x, dy, residual = drawn(3.0), drawn(0.0), drawn(0.0) if has_residual else None
    results = []
    for own, to in ((exact, "cpu"), (layer, device)):
        wide = torch.float64 if own is exact else kind
        inputs = [
            None if t is None else t.to(to, wide).clone().requires_grad_() for t in (x, residual)
        ]
        y = own(inputs[0], residual=inputs[1], activation=activation)
        y.backward(dy.to(to, wide))
        tensors = [y, *(t.grad for t in inputs if t is not None)]
        tensors += [p.grad for p in own.parameters()]
        tensors += [b for b in own.buffers() if b.is_floating_point()]
        results.append([t.detach().cpu() for t in tensors])
    return max(relative_error(a, b) for b, a in zip(*results, strict=True))


if __name__ == "__main__":
    main()
