"""Compiles the CPU kernels into the wheel where torch and a C++ compiler are at hand.

pip builds in an isolated environment without torch: then the wheel is plain Python, and the
kernels are compiled on their first import instead (normlab/norms/fused/cpu/loader.py). Use
`pip install --no-build-isolation` for a wheel that carries them, as cibuildwheel does for those of
a release ([tool.cibuildwheel]). All else is in pyproject.toml.
"""

import importlib.util
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

_spec = importlib.util.spec_from_file_location(
    "normlab_build", Path("src/normlab/norms/fused/cpu/build.py").resolve()
)
assert _spec is not None
assert _spec.loader is not None
kernels = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = kernels  # dataclasses look their module up
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
        for kernel in kernels.KERNELS:
            folder = kernel.sources[0].parent.relative_to(Path("src").resolve())
            for instructions in kernels.instruction_sets_of_machine():
                library = Path(self.build_lib) / folder / kernels.library_name(instructions, kernel)
                try:
                    kernels.build(library, instructions, kernel)
                except (kernels.BuildError, OSError) as error:
                    self.announce(f"no compiled kernel ({kernel.name}, {instructions}): {error}")


class PlatformDistribution(Distribution):
    """With a kernel inside, the wheel is for this platform only."""

    def has_ext_modules(self) -> bool:
        """Decides the wheel's tag."""
        return can_build()


class WheelOfAnyPython(bdist_wheel):
    """The kernels know torch's stable interface and nothing of Python: one wheel a platform."""

    def get_tag(self) -> tuple[str, str, str]:
        """What the file is named: py3-none and the platform; without kernels py3-none-any."""
        python, interface, platform = super().get_tag()
        return (python, interface, platform) if self.root_is_pure else ("py3", "none", platform)


setup(
    cmdclass={"build_py": BuildWithKernel, "bdist_wheel": WheelOfAnyPython},
    distclass=PlatformDistribution,
)
