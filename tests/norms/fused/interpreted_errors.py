"""Errors of the GPU's kernels in Triton's interpreter, on one tiny shape: for test_triton.py.

    TRITON_INTERPRET=1 NORMLAB_KERNELS=0 python interpreted_errors.py OUT.json NORMS DTYPES [TILE]

Triton chooses its interpreter when it is imported, so this is a process of its own. Tensors of the
CPU go to the kernels here: the fused norms by a backend, the plane operators by the dispatcher.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

import torch

from kernel_errors import measure
from normlab.norms.functional import planes
from normlab.norms.fused import backends
from normlab.norms.fused.triton import operators, serve

SHAPE = (3, 8, 5, 7)


def interpret() -> torch.library.Library:
    """From here on Triton's kernels serve tensors of the CPU, while the result is kept."""
    library = torch.library.Library("normlab", "IMPL")
    for name, reference in planes.REFERENCE.items():
        library.impl(name, serve.plane_operator(name, reference), "CPU")
    backends.set_backend("cpu", backends.triton_backend())
    return library


def main(out: str, norms: str, dtypes: str, tile: str = "4096") -> None:
    """Write [norm, mode, layout, dtype, activation, residual, error] of every case."""
    library = interpret()
    with operators.tile_values(int(tile)):
        found = dict(measure(norms.split(","), dtypes.split(","), "cpu", [SHAPE]))
    del library
    Path(out).write_text(json.dumps([[*case, error] for case, error in found.items()]))


if __name__ == "__main__":
    main(*sys.argv[1:])
