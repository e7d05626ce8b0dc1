"""Finds or builds the compiled kernel and registers it with torch's dispatcher.

On the first import the kernel is compiled into the user's cache folder (a few seconds, once); an
installed package may also carry it. Where there is no compiler, or anything else is in the way,
the reference operators serve, quietly: the results are the same to rounding.
NORMLAB_KERNELS=0 in the environment switches the kernel off.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import torch
from platformdirs import user_cache_dir

from normlab.norms.fused.cpu.build import (
    PLANES,
    BuildError,
    Kernel,
    build,
    compiler,
    instruction_set,
    is_whole,
    library_name,
    seal_of,
)

_loaded: Path | None = None


def backend(device: torch.device | str) -> str:
    """What serves the plane operators there: "compiled (avx512)", "reference", …"""
    if torch.device(device).type == "cpu" and _loaded is not None:
        return f"compiled ({_loaded.name.split('-')[1]})"
    return "reference"


def library_path() -> Path | None:
    """The library in use, None if there is none."""
    return _loaded


def cache_folder() -> Path:
    """Where kernels built here are kept; those of another torch version are not used."""
    return (
        Path(user_cache_dir("normlab", appauthor=False)) / "kernels" / f"torch-{torch.__version__}"
    )


def load(library: torch.library.Library, reference: Mapping[str, Callable[..., object]]) -> None:
    """Register the compiled operators on the CPU, if they can be had.

    Args:
        library: the one that defines the operators, of the namespace normlab.
        reference: the Python function of every operator; the kernel calls it for the tensors that
            it does not serve itself (float64, float16, empty ones).
    """
    global _loaded
    if os.environ.get("NORMLAB_KERNELS") == "0":
        return
    path = find_or_build()
    if path is None:
        return
    for name, function in reference.items():
        schema = str(getattr(torch.ops.normlab, name).default._schema).removeprefix("normlab::")
        # All results optional or none: see plane_affine_backward in planes.cpp.
        schema = re.sub(r"-> \(Tensor, Tensor\?\)$", "-> (Tensor?, Tensor?)", schema)
        library.define(f"reference_{schema}")
        library.impl(f"reference_{name}", function, "CompositeExplicitAutograd")
    try:
        torch.ops.load_library(path)
    except OSError:  # built elsewhere, half a copy, a folder mounted without execution
        return
    _loaded = path


@functools.cache
def has_operators(kernel: Kernel) -> bool:
    """Whether the operators of a kernel of its own are there; NORMLAB_KERNELS=0 leaves them out."""
    if os.environ.get("NORMLAB_KERNELS") == "0":
        return False
    path = find_or_build(kernel)
    if path is None:
        return False
    try:
        torch.ops.load_library(path)
    except OSError:  # half a copy, a folder mounted without execution
        return False
    return True


def find_or_build(kernel: Kernel = PLANES) -> Path | None:
    """The library for this processor: the installed one, the cached one, or one built now."""
    if not all(path.is_file() for path in kernel.sources):
        return None
    instructions = instruction_set()
    name = library_name(instructions, kernel)
    cached = cache_folder() / name
    installed = kernel.sources[0].parent / name
    if installed.is_file() and (is_whole(installed) or not seal_of(installed).exists()):
        return installed
    if cached.is_file() and is_whole(cached):
        return cached
    failure = cached.with_suffix(".failed")
    if failure.exists() or compiler() is None:
        return None
    try:
        build(cached, instructions, kernel)
    except BuildError as error:
        # Not again at every import; `python -m normlab.norms.fused.cpu` tries again.
        with suppress(OSError):
            failure.write_text(str(error))
        return None
    except OSError:
        return None
    return cached
