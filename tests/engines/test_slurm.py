"""A real SLURM on this machine: `make test-slurm` starts one where it is installed."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from normlab.study.executors.base import Executor, ExecutorRequest
from normlab.study.executors.slurm import EXECUTOR
from normlab.testing import ExecutorContract


def _answers() -> bool:
    if shutil.which("sinfo") is None:
        return False
    found = subprocess.run(["sinfo", "--noheader"], capture_output=True, timeout=20, check=False)
    return found.returncode == 0 and bool(found.stdout)


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not _answers(), reason="no SLURM answers here: make test-slurm"),
]


class TestContract(ExecutorContract):
    def make(self, request: ExecutorRequest) -> Executor:
        return EXECUTOR.make(
            ExecutorRequest(request.study, request.settings, request.missing, 1, "tasks=2")
        )
