"""One writer at a time for a run's folder, on one machine or on several with a shared folder.

A lease is a file `.lease-<generation>` in the run's folder that names its owner. It is made with
O_EXCL, so that of several takers exactly one succeeds. Its time of change is the owner's heartbeat.
A lease is dead when its process is gone from this machine, or when nobody has renewed it for
`LEASE_SECONDS`; the next owner then makes the file of the next generation. An owner that was
presumed dead and wakes up finds its own file gone, or a later one beside it, and must not write.

Times are those of the file system (of the server, where the folder is shared), so that clocks of
machines that differ do no harm.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from normlab.errors import LeaseLostError, StorageError, write_remedy

LEASE_SECONDS = float(os.environ.get("NORMLAB_LEASE_SECONDS", "30"))
"""A lease that was not renewed for so long is nobody's."""
BEATS = 10
"""Renewals in that time."""
_NAME = re.compile(r"\.lease-(\d+)")


@dataclass(frozen=True)
class Owner:
    """The process that a lease belongs to."""

    token: str
    """A random name of this one lease: a process that takes a run twice has two."""
    machine: str
    pid: int
    started: str
    """When the process began, in the kernel's own terms, since numbers of processes come again."""

    def __str__(self) -> str:
        """The process and its machine, as they are named in messages."""
        return f"process {self.pid} on {self.machine.split()[0]}"

    @property
    def is_gone(self) -> bool:
        """Whether it is certain that the process has ended: it was one of this machine."""
        return self.machine == machine() and started(self.pid) not in (self.started, "unknown")


class Lease:
    """The right to write into a run's folder, renewed by a thread until it is released."""

    def __init__(self, path: Path, owner: Owner) -> None:
        """Keep the lease that was just made; see `take_lease`."""
        self._path = path
        self._owner = owner
        self._released = threading.Event()
        threading.Thread(target=self._beat, name="lease", daemon=True).start()

    def check(self) -> None:
        """Raise unless this process may still write.

        Raises:
            LeaseLostError: the lease was taken over while this process did not renew it.
        """
        found = _latest(self._path.parent)
        if found != self._path or _read_owner(self._path) != self._owner:
            raise LeaseLostError(
                f"{self._path.parent} is written by another process now, because this one did not "
                "answer for a while; nothing more is written here"
            )

    def release(self) -> None:
        """Give the folder back, so that any process may take it."""
        self._released.set()
        if _read_owner(self._path) == self._owner:
            with contextlib.suppress(OSError):
                self._path.unlink()

    def _beat(self) -> None:
        while not self._released.wait(LEASE_SECONDS / BEATS):
            with contextlib.suppress(OSError):  # a lease that is lost is found out by check()
                os.utime(self._path)


def take_lease(folder: Path) -> Lease | None:
    """The lease of the run in this folder, or None while another process has it.

    Raises:
        StorageError: the folder cannot be written.
    """
    owner = Owner(uuid.uuid4().hex, machine(), os.getpid(), started(os.getpid()))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            before = _latest(folder)
            if before is not None and not _is_dead(before):
                return None
            path = folder / f".lease-{_generation(before) + 1 if before is not None else 1}"
            try:
                with path.open("x", encoding="utf-8") as file:
                    json.dump(vars(owner), file)
            except FileExistsError:
                continue  # somebody was quicker: look again
            for older in _leases(folder):
                if _generation(older) < _generation(path):
                    older.unlink(missing_ok=True)
            return Lease(path, owner)
    except OSError as error:
        raise StorageError(
            f"cannot write to {folder}: {error.strerror or error}; {write_remedy(error)}"
        ) from error


def lease_owner(folder: Path) -> Owner | None:
    """Who writes into the run's folder now, if anybody does."""
    path = _latest(folder)
    if path is None or _is_dead(path):
        return None
    return _read_owner(path) or Owner("", "unknown", 0, "")


def _leases(folder: Path) -> list[Path]:
    names = [name for name in os.listdir(folder) if _NAME.fullmatch(name)]  # noqa: PTH208
    return sorted((folder / name for name in names), key=_generation)


def _latest(folder: Path) -> Path | None:
    with contextlib.suppress(FileNotFoundError):
        return next(reversed(_leases(folder)), None)
    return None


def _generation(path: Path) -> int:
    return int(path.name.rpartition("-")[2])


def _read_owner(path: Path) -> Owner | None:
    """None where there is no such file, or its owner has not written it yet."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Owner(**json.loads(path.read_text(encoding="utf-8")))
    return None


def _is_dead(path: Path) -> bool:
    owner = _read_owner(path)
    if owner is not None and owner.is_gone:
        return True
    try:
        with path.open("rb") as file:  # opening asks the server, where stat() may be a memory
            renewed = os.fstat(file.fileno()).st_mtime
    except OSError:
        return True  # it was released meanwhile
    now = time.time()
    if abs(now - renewed) > LEASE_SECONDS / 2:  # ask the file system what time it is
        with contextlib.suppress(OSError):
            os.utime(path.parent)
            now = path.parent.stat().st_mtime
    return abs(now - renewed) > LEASE_SECONDS


def machine() -> str:
    """Where numbers of processes mean the same: host, its start, its space of process numbers."""
    parts = [platform.node() or "unknown"]
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        parts += [boot, os.readlink("/proc/self/ns/pid")]  # noqa: PTH115
    return " ".join(parts)


def started(pid: int) -> str:
    """When a process began; "gone" where there is none, "unknown" where it cannot be said."""
    if platform.system() == "Linux":
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return "gone"
        except OSError:
            return "unknown"
        fields = text.rpartition(")")[2].split()
        return "gone" if fields[0] in ("Z", "X") else fields[19]
    if platform.system() == "Windows":  # where os.kill would end the process
        return "unknown"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "gone"
    except OSError:
        return "there"
    return "there"
