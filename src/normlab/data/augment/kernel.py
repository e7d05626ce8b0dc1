"""The compiled form of one_pass.py: built on its first use, where there is a C++ compiler."""

from __future__ import annotations

import functools
import os

import torch

from normlab.norms.fused.cpu.build import ONE_PASS
from normlab.norms.fused.cpu.loader import find_or_build


@functools.cache
def is_compiled() -> bool:
    """Whether torch.ops.normlab_data.one_pass is there; NORMLAB_KERNELS=0 leaves it out."""
    if os.environ.get("NORMLAB_KERNELS") == "0":
        return False
    path = find_or_build(ONE_PASS)
    if path is None:
        return False
    try:
        torch.ops.load_library(path)
    except OSError:  # half a copy, a folder mounted without execution
        return False
    return True
