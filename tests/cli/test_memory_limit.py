"""Batches that do not fit into the memory of a control group: outcomes, and never a killed command.

A real group of the kernel's, which is made by root where the system lets it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from normlab.memory import REMEDY
from normlab.records.store import read_runs

pytestmark = pytest.mark.slow

LIMIT = 2200 * 2**20
ROOTS = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))
LIMITS = ("memory.limit_in_bytes", "memory.max")
TOO_LARGE = (
    *("train", "demo:digits", "--norm", "bn", "--epochs", "1", "--image-size", "96"),
    *("--model", "cifar-resnet20", "--batch-size", "1024", "--yes", "--no-live"),
)

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Run]:
    """Runs normlab within a group that has LIMIT bytes."""
    group = next((r for r in ROOTS if (r / "cgroup.procs").exists()), ROOTS[0]) / f"nl{os.getpid()}"
    limit = next((n for n in LIMITS if (group.parent / n).exists()), LIMITS[1])
    try:
        group.mkdir()
        (group / limit).write_text(str(LIMIT))
    except OSError as error:
        with suppress(OSError):
            group.rmdir()
        pytest.skip(f"no control group with a limit of memory can be made here: {error}")
    join = f"echo $$ > {group}/cgroup.procs && exec " + '"$@"'

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["sh", "-c", join, "sh", sys.executable, "-m", "normlab", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    yield run
    with suppress(OSError):
        group.rmdir()


def test_a_run_that_does_not_fit_becomes_an_outcome(limited: Run, tmp_path) -> None:
    done = limited(*TOO_LARGE, "--out", "study")
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "Traceback" not in said
    assert "it is made in a process of its own" in said
    (record,) = read_runs(tmp_path / "study", rows=False)
    assert record.outcome is not None
    assert record.outcome.status == "out_of_memory"
    assert REMEDY in (record.outcome.error or "")


def test_what_a_cluster_must_have_for_it_is_estimated(limited: Run) -> None:
    plan = [word.replace("train", "plan").replace("--norm", "--norms") for word in TOO_LARGE]
    plan[plan.index("--batch-size")] = "--batch-sizes"
    done = limited(*plan, "--blocks", "1", "--out", "study", "--resources")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the steps of bn break here · their memory is estimated" in done.stdout
    memory = re.search(r"a run    1 CPU · ([\d.]+) GiB of memory", done.stdout)
    assert memory is not None, done.stdout
    assert float(memory[1]) * 2**30 > LIMIT


def test_runs_that_fit_are_made_in_the_command_itself(limited: Run) -> None:
    small = [*TOO_LARGE]
    small[small.index("1024")] = "32"
    small[small.index("96")] = "16"
    done = limited(*small, "--out", "study")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "process of its own" not in done.stdout + done.stderr
