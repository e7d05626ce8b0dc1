"""Compiles the kernel: one call of the machine's C++ compiler, a few seconds.

Only the standard library is needed to read this file, and torch for its headers, so that setup.py
can use it before the package is installed.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(__file__).parent
SOURCES = tuple(
    FOLDER / f"{name}.cpp" for name in ("planes", "fused_norm", "curved", "closed_norm")
)
_NAMES = "vector sweeps tiles tensors fused_norm batch_norm curved closed_norm"
HEADERS = tuple(FOLDER / f"{name}.h" for name in _NAMES.split())


@dataclass(frozen=True)
class Kernel:
    """Sources that become one library."""

    name: str
    sources: tuple[Path, ...]
    headers: tuple[Path, ...] = ()
    contract: str = "fast"
    """Whether a product and a sum may become one rounding: "fast", or "off"."""


PLANES = Kernel("planes", SOURCES, HEADERS)
ONE_PASS = Kernel(
    "one_pass", (FOLDER.parents[2] / "data" / "augment" / "one_pass.cpp",), contract="off"
)
_DUPLICATES = FOLDER.parents[2] / "data" / "duplicates"
PAIRS = Kernel(
    "pairs",
    (_DUPLICATES / "pairs.cpp",),
    tuple(_DUPLICATES / f"{name}.h" for name in ("lanes", "descent", "comparison", "search")),
)
KERNELS = (PLANES, ONE_PASS, PAIRS)
"""All that a wheel carries."""

INSTRUCTION_SETS: dict[str, tuple[str, ...]] = {
    "avx512": ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx2", "-mfma"),
    "avx2": ("-mavx2", "-mfma"),
    "baseline": (),  # SSE2 on x86, NEON on arm64
}
"""One library for each; `instruction_set` says which one this processor gets."""


class BuildError(Exception):
    """The compiler is not there or refuses; the message holds what it said."""


def instruction_set() -> str:
    """The one that torch itself uses here; ATEN_CPU_CAPABILITY=avx2 or default lowers it."""
    import torch

    capability = torch.backends.cpu.get_cpu_capability()
    return {"AVX512": "avx512", "AVX2": "avx2"}.get(capability, "baseline")


def instruction_sets_of_machine() -> tuple[str, ...]:
    """All that processors of this architecture can have."""
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return tuple(INSTRUCTION_SETS) if x86 else ("baseline",)


def library_name(instructions: str, kernel: Kernel = PLANES) -> str:
    """The file's name, which changes with the sources."""
    digest = hashlib.sha256()
    for path in (*kernel.sources, *kernel.headers):
        digest.update(path.read_bytes())
    return f"{kernel.name}-{instructions}-{platform.machine()}-{digest.hexdigest()[:12]}.so"


def compiler() -> list[str] | None:
    """$CXX, or the first C++ compiler on the path; None if there is none that could serve."""
    if sys.platform not in ("linux", "darwin"):
        return None
    chosen = os.environ.get("CXX")
    candidates = [shlex.split(chosen)] if chosen else [["c++"], ["g++"], ["clang++"]]
    return next(
        (
            compiler_command
            for compiler_command in candidates
            if compiler_command and shutil.which(compiler_command[0])
        ),
        None,
    )


def build(library: Path, instructions: str, kernel: Kernel = PLANES) -> None:
    """Compile to `library`. Several processes may do so at once: each renames a whole file there.

    Raises:
        BuildError: no compiler, no torch, or they do not get along.
        OSError: the folder cannot be written.
    """
    compiler_command = compiler()
    torch = find_spec("torch")
    if compiler_command is None or torch is None or torch.origin is None:
        raise BuildError(
            "a C++ compiler and torch are needed; there is no " + _missing(compiler_command)
        )
    root = Path(torch.origin).parent
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent, prefix=".build-") as folder:
        target = Path(folder) / library.name
        command = [*compiler_command, *_flags(root, kernel), *INSTRUCTION_SETS[instructions]]
        command += [*map(str, kernel.sources), *_link_flags(root), "-o", str(target)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BuildError(f"{shlex.join(command)}\n{error}") from error
        if done.returncode != 0:
            raise BuildError(f"{shlex.join(command)}\n{done.stderr}")
        seal = Path(folder) / seal_of(library).name
        seal.write_text(hashlib.sha256(target.read_bytes()).hexdigest(), encoding="ascii")
        seal.replace(seal_of(library))
        target.replace(library)


def seal_of(library: Path) -> Path:
    """Where the SHA-256 of a compiled library is noted, beside it."""
    return library.with_suffix(".sha256")


def is_whole(library: Path) -> bool:
    """Whether a library is the one that was compiled: loading half of one ends the process.

    The system maps it and finds what is missing when it is first touched (SIGBUS).
    """
    try:
        noted = seal_of(library).read_text(encoding="ascii")
        return noted == hashlib.sha256(library.read_bytes()).hexdigest()
    except (OSError, UnicodeDecodeError):
        return False


def _missing(compiler_command: list[str] | None) -> str:
    return "compiler" if compiler_command is None else "torch"


def _flags(torch: Path, kernel: Kernel) -> list[str]:
    return [
        "-std=c++17",
        "-O2",  # the inner loops are written in vectors; -O3 makes them no faster
        "-fPIC",
        "-shared",
        "-fvisibility=hidden",
        f"-ffp-contract={kernel.contract}",
        "-DTORCH_TARGET_VERSION=0x020a000000000000",  # 2.10: what it may use, and so needs
        "-isystem",
        str(torch / "include"),
    ]


def _link_flags(torch: Path) -> list[str]:
    if sys.platform == "darwin":
        return ["-undefined", "dynamic_lookup"]
    return [f"-L{torch / 'lib'}", "-ltorch_cpu"]
