"""The facts about machine and software that a run's numbers may depend on."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from normlab.records.store import Environment

_LIBRARIES = ("normlab", "torch", "numpy", "pillow", "scikit-learn")


def describe_environment(
    device: str, threads: int, *, deterministic: bool, compiled: bool
) -> Environment:
    """Versions, processor, device and thread count, as plain data.

    Read from the packages' metadata, so that nothing heavy is imported.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "device": device,
        "threads": threads,
        "deterministic": deterministic,
        "compiled": compiled,
        "libraries": {name: _version(name) for name in _LIBRARIES},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    if sys.platform == "linux":
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    return platform.processor()
