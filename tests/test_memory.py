"""Out of memory is recognised, by whatever it is told."""

from __future__ import annotations

import errno

import pytest
import torch

from normlab import memory
from normlab.memory import REMEDY, failure, is_out_of_memory, reason_of_death, with_remedy


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
