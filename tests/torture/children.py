"""A command of normlab in a child of this process, which has imported everything before.

A fork costs milliseconds where a new interpreter takes seconds, so that hundreds of commands can be
killed or refused in minutes. The child runs `normlab.cli.main.main` as the command does, in a
session of its own, with pipes for its two outputs. Linux only.
"""

from __future__ import annotations

import fcntl
import importlib
import mmap
import os
import pkgutil
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link"})
"""Audit events of Python that change the file system, beside those of "open" for writing."""
LIBRARIES = (
    *("altair", "vl_convert", "pandas", "scipy.stats", "sklearn.metrics", "statsmodels.api"),
    *("PIL.Image", "PIL.ImageDraw", "rich.live", "rich.progress", "safetensors.torch", "jinja2"),
)
"""What commands import inside of functions."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    """Its exit code; of a signal, minus its number."""
    out: str
    err: str
    seconds: float
    """From its start to its end."""
    work: float
    """Seconds of the processor, its own and those of its children that have ended: on a machine
    that is busy they are what it takes on an idle one."""
    trace: tuple[str, ...]
    """The files that it changed, in order, as far as they were noted; see `start`."""

    @property
    def was_killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.code == -signal.SIGKILL


class Child:
    """A command that is running."""

    def __init__(self, pid: int, outputs: tuple[Output, Output], note: Note, began: float) -> None:
        """Hold what `start` made."""
        self.pid = pid
        self._outputs = outputs
        self._note = note
        self._began = began
        self._work = 0.0

    def end(
        self, *, within: float, kill_after: float | None = None, everything: bool = False
    ) -> Ended:
        """Wait until it has ended; it is killed after some seconds, or after its time is over.

        Args:
            within: seconds after which it is killed, and the code is that of a time-out, -SIGALRM.
            kill_after: seconds from its start after which it is killed on purpose.
            everything: whether its children are killed with it.
        """
        code, killed = None, False
        while (code := self._poll()) is None:
            passed = time.monotonic() - self._began
            if kill_after is not None and passed >= kill_after and not killed:
                victims = descendants(self.pid) if everything else []
                killed = True
                for victim in (self.pid, *victims):
                    kill(victim)
            elif passed >= within:
                for victim in (self.pid, *descendants(self.pid)):
                    kill(victim)
                self._poll(0)
                code = -signal.SIGALRM
                break
            time.sleep(0.003)
        seconds = time.monotonic() - self._began
        out, err = (output.read() for output in self._outputs)
        return Ended(code, out, err, seconds, self._work, self._note.read())

    def _poll(self, options: int = os.WNOHANG) -> int | None:
        pid, status, usage = os.wait4(self.pid, options)
        if not pid:
            return None
        self._work = usage.ru_utime + usage.ru_stime
        return os.waitstatus_to_exitcode(status)


class Output:
    """A pipe that holds all that a command prints, and to which no limit of files applies."""

    def __init__(self) -> None:
        """Make it as large as an ordinary user may."""
        self._reading, self.writing = os.pipe()
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, 1 << 20)
        os.set_blocking(self._reading, False)

    def read(self) -> str:
        """What was printed so far; the pipe is given back, though an orphan may have it still."""
        pieces = []
        with suppress(BlockingIOError):
            while piece := os.read(self._reading, 1 << 20):
                pieces.append(piece)
        os.close(self._reading)
        return b"".join(pieces).decode("utf-8", "surrogateescape")


class Note:
    """Memory that a child shares: the names of the files that it has changed."""

    SIZE = 1 << 20

    def __init__(self) -> None:
        """Begin with nothing noted."""
        self._memory = mmap.mmap(-1, self.SIZE)

    def add(self, text: str) -> None:
        """Note a name; what does not fit any more is left out."""
        line = text.encode("utf-8", "surrogateescape") + b"\n"
        if self._memory.tell() + len(line) < self.SIZE:
            self._memory.write(line)

    def read(self) -> tuple[str, ...]:
        """All that was noted; the memory is given back."""
        text = self._memory[:].rstrip(b"\0").decode("utf-8", "replace")
        self._memory.close()
        return tuple(text.splitlines())


def warm() -> None:
    """Import what commands import, so that every child has it."""
    import normlab

    def ignore(name: str) -> None:
        """A package of an extra that is not installed."""

    for name in (m.name for m in pkgutil.walk_packages(normlab.__path__, "normlab.", ignore)):
        if not name.endswith("__main__"):
            with suppress(ImportError, RuntimeError):
                importlib.import_module(name)
    for name in LIBRARIES:
        importlib.import_module(name)


def start(
    arguments: Sequence[str],
    folder: Path,
    *,
    die_at: int | None = None,
    environment: Mapping[str, str] | None = None,
    entry: Callable[[], object] | None = None,
    memory: int | None = None,
    file_size: int | None = None,
) -> Child:
    """Start `normlab ARGUMENTS` in a folder.

    Args:
        arguments: as they would be typed.
        folder: where; changes of files below it are noted.
        die_at: the change of a file, from 1, before which it ends by SIGKILL.
        environment: variables beside those of this process.
        entry: what is called in place of the command.
        memory: bytes of address space that it may take beside what it has at its start.
        file_size: bytes that a file may have.
    """
    outputs = Output(), Output()
    note = Note()
    sys.stdout.flush()
    sys.stderr.flush()
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            os.chdir(folder)
            os.environ.update(environment or {})
            _redirect(outputs)
            sys.argv = ["normlab", *arguments]
            _listen_to_changes(str(folder), note, die_at)
            _limit(memory, file_size)
            _call(entry)
        finally:
            os._exit(70)
    for output in outputs:
        os.close(output.writing)
    return Child(pid, outputs, note, began)


def run(arguments: Sequence[str], folder: Path, *, within: float = 60.0, **options: Any) -> Ended:
    """The command from its start to its end; see `start` and `Child.end`."""
    keys = ("kill_after", "everything")
    ending = {key: options.pop(key) for key in keys if key in options}
    return start(arguments, folder, **options).end(within=within, **ending)


def descendants(pid: int) -> list[int]:
    """The numbers of the processes that a process has started, and those that they have."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text("utf-8", "replace").rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process that this one, or a child of it, has started."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def is_alive(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in "ZX"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is gone afterwards, also where orphans still write into it."""
    with tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


_REPLACED: list[Any] = []
"""Streams of the parent; where nobody holds them they close the numbers that are ours now."""


def _redirect(outputs: tuple[Output, Output]) -> None:
    _REPLACED.extend((sys.stdin, sys.stdout, sys.stderr))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for number, output in enumerate(outputs, start=1):
        os.dup2(output.writing, number)
        os.close(output.writing)
    sys.stdin = os.fdopen(0, encoding="utf-8")
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="surrogateescape")
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace")


def _listen_to_changes(folder: str, note: Note, die_at: int | None) -> None:
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event == "open":
            if not isinstance(arguments[2], int) or not arguments[2] & WRITES:
                return
        elif event not in CHANGES:
            return
        if not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        path = os.fsdecode(arguments[0])
        if path.startswith("/") and not path.startswith(folder):
            return
        count += 1
        note.add(path.removeprefix(folder).lstrip("/").replace("\n", " "))
        if count == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def _limit(memory: int | None, file_size: int | None) -> None:
    if memory is not None:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    if file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))


def _call(entry: Callable[[], object] | None) -> NoReturn:
    """As the interpreter calls a program: its exit code, or a traceback and 1."""
    from normlab.cli.main import main

    code: Any = 0
    try:
        code = (entry or main)()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if not isinstance(code, int):
        code = 0 if code is None else 1
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
