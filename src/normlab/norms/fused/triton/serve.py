"""The kernels' place behind torch's dispatcher: CUDA tensors are served where Triton is installed.

Registering imports nothing; the first tensor on a GPU does. TRITON_INTERPRET=1 runs the kernels in
Triton's interpreter, on tensors of the CPU, which is how they are tested without a GPU: see
`serve_cpu`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch

Function = Callable[..., Any]
_PLACE_OF_X = {"plane_sums": 1, "plane_affine_backward": 1}


@cache
def is_there() -> bool:
    """Whether tensors on a GPU can be served: a torch for NVIDIA's or AMD's, and Triton."""
    if os.environ.get("NORMLAB_KERNELS") == "0":
        return False
    has_gpu_build = torch.version.cuda is not None or torch.version.hip is not None
    return has_gpu_build and importlib.util.find_spec("triton") is not None


def register(library: torch.library.Library, reference: Mapping[str, Function]) -> None:
    """Put the plane operators behind the CUDA key, if they can be had.

    Args:
        library: the one that defines the operators, of the namespace normlab.
        reference: the Python function of every operator, for tensors that are not served.
    """
    if is_there():
        _register(library, reference, "CUDA")


def serve_cpu(library: torch.library.Library, reference: Mapping[str, Function]) -> None:
    """Put them behind the CPU key: for tests, in Triton's interpreter (TRITON_INTERPRET=1)."""
    _register(library, reference, "CPU")


def _register(library: torch.library.Library, reference: Mapping[str, Function], key: str) -> None:
    for name, function in reference.items():
        library.impl(name, _or_else(name, function), key)


def _or_else(name: str, reference: Function) -> Function:
    place = _PLACE_OF_X.get(name, 0)

    def serve(*arguments: Any) -> Any:
        from normlab.norms.fused.triton import operators

        x = arguments[place]
        if operators.is_served(x):
            with operators.on_its_device(x):
                return operators.PLANE_OPERATORS[name](*arguments)
        return reference(*arguments)

    return serve


def blend_functions() -> tuple[Function, Function]:
    """The six main norms in one call each way: forward and backward."""
    from normlab.norms.fused.triton import operators

    return operators.blend_norm, operators.blend_norm_backward
