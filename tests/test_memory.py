"""Out of memory is recognised, by whatever it is told."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch

from normlab import memory
from normlab.memory import (
    REMEDY,
    available_bytes,
    failure,
    is_out_of_memory,
    reason_of_death,
    with_remedy,
)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 5 bytes"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("CUDNN_STATUS_ALLOC_FAILED"), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (RuntimeError("shapes do not fit"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_by_error(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_the_sentence_is_short_and_says_what_to_do() -> None:
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to\nallocate 2 GiB. GPU 0 has …")
    assert with_remedy(error) == f"OutOfMemoryError: CUDA out of memory; {REMEDY}"
    assert "--accumulate" in REMEDY
    assert "--jobs" in REMEDY


def test_a_process_that_the_system_killed_for_memory(monkeypatch) -> None:
    monkeypatch.setattr(memory, "kills", lambda: 3)
    status, sentence = failure(f"its process ended 3 times: {reason_of_death(-9, '', 2)}")
    assert status == "out_of_memory"
    assert sentence.endswith(f"the system killed it when it was out of memory; {REMEDY}")
    status, sentence = failure(reason_of_death(-9, "", 3))  # somebody's kill, perhaps
    assert status == "failed"
    assert sentence.endswith(REMEDY)
    assert reason_of_death(-11, "Fatal", 2) == "Fatal (exit code -11)"


def test_an_engine_that_says_so_in_its_own_words() -> None:
    said = "its job ended 3 times without getting further: Detected 1 oom_kill event in StepId=7"
    assert failure(said) == ("out_of_memory", f"{said}; {REMEDY}")
    assert failure("ValueError: x") == ("failed", "ValueError: x")


def test_the_count_of_kills_is_a_number_everywhere(tmp_path, monkeypatch) -> None:
    assert memory.kills() >= 0
    (tmp_path / "vmstat").write_text("pgfault 5\noom_kill 7\n")
    monkeypatch.setattr(memory, "_VMSTAT", tmp_path / "vmstat")
    assert memory.kills() == 7
    monkeypatch.setattr(memory, "_VMSTAT", tmp_path / "none")
    assert memory.kills() == 0


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


MACHINE = {"proc/meminfo": "MemTotal: 9000 kB\nMemAvailable: 8000 kB\n"}
FIRST = "sys/fs/cgroup/memory/"
SECOND = "sys/fs/cgroup/"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        (MACHINE, 8000 * 1024),
        (
            {
                "proc/self/cgroup": "5:cpu:/\n4:memory:/a/b\n",
                f"{FIRST}a/memory.limit_in_bytes": "5000\n",
                f"{FIRST}a/memory.usage_in_bytes": "4000\n",
                f"{FIRST}a/memory.stat": "cache 9\ntotal_inactive_file 300\ntotal_active_file 20\n",
                f"{FIRST}a/b/memory.limit_in_bytes": "9223372036854771712\n",
                f"{FIRST}a/b/memory.usage_in_bytes": "3000\n",
            },
            1320,
        ),
        (
            {
                "proc/self/cgroup": "0::/job\n",
                f"{SECOND}job/memory.max": "max\n",
                f"{SECOND}job/memory.current": "7\n",
            },
            8000 * 1024,
        ),
        (
            {
                "proc/self/cgroup": "0::/job/step\n",
                f"{SECOND}job/memory.max": "6000\n",
                f"{SECOND}job/memory.current": "7000\n",
                f"{SECOND}job/memory.stat": "anon 6\ninactive_file 10\nactive_file 20\n",
                f"{SECOND}job/step/memory.max": "max\n",
                f"{SECOND}job/step/memory.current": "7\n",
            },
            0,
        ),
        (  # a container, whose group has the machine's name
            {
                "proc/self/cgroup": "0::/docker/9f\n",
                f"{SECOND}memory.max": "6000\n",
                f"{SECOND}memory.current": "1000\n",
            },
            5000,
        ),
    ],
    ids=["unknown", "machine", "first version", "no limit", "second version", "container"],
)
def test_the_memory_that_is_left(tmp_path, files, expected) -> None:
    write(tmp_path, {**(MACHINE if files else {}), **files})
    assert available_bytes(tmp_path) == expected


def test_the_memory_that_is_left_here() -> None:
    left = available_bytes()
    assert left is None or left > 2**20
