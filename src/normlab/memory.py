"""Memory that ran out: how it is recognised, and what a person can do about it."""

from __future__ import annotations

import errno
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal

REMEDY = (
    "smaller batches (--batch-sizes, or parts of one with --accumulate), a smaller --image-size or "
    "fewer --jobs need less memory"
)
_SAID = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|std::bad_alloc"
    r"|ALLOC_FAILED|MemoryError|OutOfMemory|oom[-_ ]?kill|can't start new thread"
    r"|could not create a primitive",
    re.IGNORECASE,
)
"""How torch's allocators, CUDA's libraries, C++, Python, Ray and SLURM say it; a thread that cannot
start has no room for its stack, and a primitive that oneDNN cannot create none for its code."""
KILLED = (-9, 137)
"""Exit codes of a process that SIGKILL has ended: as Python has it, and as shells have it."""
_VMSTAT = Path("/proc/vmstat")
_VICTIM = Path("/proc/self/oom_score_adj")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, of the machine, a limit or a GPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and says_out_of_memory(str(error))


def says_out_of_memory(text: str) -> bool:
    """Whether a text that another process left says so.

    >>> says_out_of_memory("slurmstepd: error: Detected 1 oom_kill event in StepId=7.batch.")
    True
    """
    return _SAID.search(text) is not None


def with_remedy(error: BaseException) -> str:
    """The error's first words, and what to do.

    >>> with_remedy(MemoryError()).startswith("MemoryError; smaller batches")
    True
    """
    said = " ".join(str(error).split()).partition(". ")[0][:200].rstrip(". ")
    return f"{type(error).__name__}{': ' if said else ''}{said}; {REMEDY}"


def peak_bytes() -> int:
    """The most memory that this process has had, in bytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def available_bytes(root: Path = Path("/")) -> int | None:
    """Bytes that this process can still get from the machine and from the cgroups that limit it.

    Cached files count as free, which the system gives back first. None where the system does not
    say. (Linux, Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst.)

    Args:
        root: of the file system, for tests.
    """
    found = [_number(root / "proc/meminfo", "MemAvailable:", unit=1024)]
    for line in _lines(root / "proc/self/cgroup"):
        _, kinds, path = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        base = root / "sys/fs/cgroup" / ("memory" if kinds else "")
        inside = path.strip("/")
        # A container may see its own group as the root while its name is the machine's.
        group = base / inside if (base / inside).exists() else base
        while group == base or base in group.parents:
            found.append(_left_in(group))
            group = group.parent
    known = [number for number in found if number is not None]
    return max(0, min(known)) if known else None


def _left_in(group: Path) -> int | None:
    """Bytes below the limit of a cgroup of either version; None where it has none."""
    limit = _number(group / "memory.max") or _number(group / "memory.limit_in_bytes")
    used = _number(group / "memory.current") or _number(group / "memory.usage_in_bytes")
    if limit is None or used is None:
        return None
    cached = 0
    for name in ("inactive_file", "active_file"):
        stat = group / "memory.stat"
        cached += _number(stat, f"total_{name}") or _number(stat, name) or 0
    return limit - used + cached


def _number(path: Path, name: str = "", unit: int = 1) -> int | None:
    """The number in a file, or in its line that begins with the name."""
    for line in _lines(path):
        words = line.split()
        if name and words[:1] != [name]:
            continue
        word = words[1 if name else 0] if len(words) > bool(name) else ""
        return unit * int(word) if word.isdecimal() else None
    return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return []


def offer_as_victim() -> None:
    """Have the system kill this process first where memory runs out: its parent says what happened.

    Nothing where the system has no such choice. (Linux, proc(5), oom_score_adj.)
    """
    with suppress(OSError):
        _VICTIM.write_text("500", encoding="ascii")


def kills() -> int:
    """How often the system has killed a process because memory ran out; 0 where it does not say."""
    return _number(_VMSTAT, "oom_kill") or 0


def reason_of_death(code: int, said: str, kills_before: int) -> str:
    """Why a process ended without an answer, of its exit code and the last that it said.

    Args:
        code: minus the signal's number where a signal ended it.
        said: its last line; empty where there is none.
        kills_before: what `kills` gave before.

    >>> reason_of_death(1, "ValueError: x", 0)
    'ValueError: x (exit code 1)'
    """
    said = f"{said or 'it said nothing'} (exit code {code})"
    if code not in KILLED:
        return said
    if kills() > kills_before:
        return f"{said}: the system killed it when it was out of memory"
    return f"{said}: it was killed, as a system does that runs short of memory; {REMEDY}"


def failure(reason: str) -> tuple[Literal["failed", "out_of_memory"], str]:
    """How the run of a process that ended is called, and the sentence with its remedy.

    >>> failure("its process ended 3 times: Killed (exit code 1)")[0]
    'failed'
    """
    if not says_out_of_memory(reason):
        return "failed", reason
    return "out_of_memory", reason if REMEDY in reason else f"{reason}; {REMEDY}"
