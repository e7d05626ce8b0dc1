"""The plane operators' place behind torch's dispatcher: Triton's kernels for tensors on a GPU.

Registering imports nothing; the first tensor on a GPU imports Triton.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from typing import Any

import torch

Function = Callable[..., Any]
_PLACE_OF_X = {"plane_sums": 1, "plane_affine_backward": 1}
"""Which argument x is, where it is not the first."""


def gpu_kernels_available() -> bool:
    """Whether tensors on a GPU can be served: a torch for NVIDIA's or AMD's, and Triton.

    NORMLAB_KERNELS=0 in the environment switches the kernels off.
    """
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
    if gpu_kernels_available():
        for name, function in reference.items():
            library.impl(name, plane_operator(name, function), "CUDA")


def plane_operator(name: str, reference: Function) -> Function:
    """One of the four plane operators in Triton.

    Args:
        name: as torch's dispatcher knows it, e.g. "plane_sums".
        reference: what serves the tensors that the kernel does not (float64, empty ones).

    Returns:
        A function of the operator's arguments.
    """
    place = _PLACE_OF_X.get(name, 0)

    def serve(*arguments: Any) -> Any:
        from normlab.norms.fused.triton import operators

        x = arguments[place]
        if operators.is_served(x):
            with operators.on_its_device(x):
                return operators.PLANE_OPERATORS[name](*arguments)
        return reference(*arguments)

    return serve
