"""Compiles the CPU kernel into the wheel where torch and a C++ compiler are at hand.

pip builds in an isolated environment without torch: then the wheel is plain Python, and the
kernel is compiled on its first import instead (normlab/norms/fused/cpu/loader.py). Use
`pip install --no-build-isolation` for a wheel that carries it. All else is in pyproject.toml.
"""

import importlib.util
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

KERNELS = Path("src/normlab/norms/fused/cpu")
_spec = importlib.util.spec_from_file_location("normlab_build", KERNELS / "build.py")
assert _spec is not None
assert _spec.loader is not None
kernels = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kernels)


def can_build() -> bool:
    """Whether this environment has torch and a compiler."""
    return importlib.util.find_spec("torch") is not None and kernels.compiler() is not None


class BuildWithKernel(build_py):
    """Adds one library for each instruction set; none where the compiler refuses."""

    def run(self) -> None:
        """Copy the Python files, then compile."""
        super().run()
        if self.editable_mode or not can_build():
            return
        folder = Path(self.build_lib) / KERNELS.relative_to("src")
        for instructions in kernels.instruction_sets_of_machine():
            try:
                kernels.build(folder / kernels.library_name(instructions), instructions)
            except (kernels.BuildError, OSError) as error:
                self.announce(f"no compiled kernel ({instructions}): {error}")


class PlatformDistribution(Distribution):
    """With a kernel inside, the wheel is for this platform only."""

    def has_ext_modules(self) -> bool:
        """Decides the wheel's tag."""
        return can_build()


setup(cmdclass={"build_py": BuildWithKernel}, distclass=PlatformDistribution)
