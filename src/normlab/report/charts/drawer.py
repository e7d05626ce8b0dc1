"""A process that draws, one picture after the other, for as long as its parent lives.

    python -m normlab.report.charts.drawer

The drawing library is a browser's engine in a library: what it cannot take may end the process that
it runs in, or never end. Here it ends this one, or is ended, and costs one picture.

It is this module, fed through its standard input, and not a multiprocessing pool: a pool would ask
every script that builds a report for a __main__ guard.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO, Any, Literal

import altair as alt

from normlab.report.charts.drawing import to_pdf, to_png, to_svg

ChartCall = tuple[Callable[..., alt.TopLevelMixin], tuple[Any, ...]]
"""A function that makes a chart, and the plain data for it; another process imports it by name."""
Kind = Literal["chart", "png", "pdf"]
DrawingJob = tuple[Kind, Any]
"""A ChartCall to draw as SVG, or an SVG to turn into PNG or PDF."""

WORK = 60.0
"""Seconds of the processor for one picture; a large one takes one or two."""
SECONDS = 1800.0
"""For one picture and the start of the process, on a machine that is busy with other things."""
_READY, _DRAWN, _FAILED, _UNKNOWN = b"r", b"d", b"f", b"u"
_LENGTH = 8
"""Bytes of a length."""


class NotDrawnError(Exception):
    """A picture that cannot be drawn; the message says why."""


class UnknownJobError(Exception):
    """A job that another process cannot have, as a function of somebody's notebook."""


class Drawer:
    """One such process, seen from its parent; begun anew where a picture has ended it."""

    def __init__(self) -> None:
        """Nothing is started yet."""
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._is_ready = False
        self._is_broken = False
        """Whether it ended before it could draw: then it is not tried again."""

    def start(self) -> None:
        """Start the process, so that it imports what it needs meanwhile; raises OSError."""
        if self._is_broken:
            raise OSError("the process that draws cannot begin")
        if self._process is not None and self._owner == os.getpid():
            return
        self._owner, self._is_ready = os.getpid(), False  # after a fork it is another's
        self._process = subprocess.Popen(
            [sys.executable, "-m", "normlab.report.charts.drawer", str(WORK)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        atexit.register(self.close)

    def draw(self, job: DrawingJob) -> bytes:
        """The picture.

        Raises:
            NotDrawnError: it cannot be drawn, ended the process, or took too long.
            UnknownJobError: the job cannot be sent to another process.
            OSError: no process can be started, or it cannot import what it needs.
        """
        try:
            content = pickle.dumps(job)
        except Exception as error:
            raise UnknownJobError(str(error)) from None
        self.start()
        process = self._process
        assert process is not None
        late = threading.Timer(SECONDS, process.kill)
        late.daemon = True
        late.start()
        try:
            kind, answer = self._exchange(process, content)
        except (OSError, EOFError):
            self._is_broken = not self._is_ready
            hung = not late.is_alive()
            code = self.close()
            if self._is_broken:
                raise OSError("the process that draws cannot begin") from None
            worked = code is not None and -code == getattr(signal, "SIGPROF", None)
            reason = f"ended with code {code}"
            if hung or worked:
                reason = f"took over {SECONDS if hung else WORK:g} s"
            raise NotDrawnError(f"the process that drew it {reason}") from None
        finally:
            late.cancel()
        if kind == _DRAWN:
            return answer
        text = answer.decode("utf-8", "replace")
        raise (UnknownJobError if kind == _UNKNOWN else NotDrawnError)(text)

    def close(self) -> int | None:
        """End the process; its exit code."""
        process, self._process = self._process, None
        atexit.unregister(self.close)
        if process is None or self._owner != os.getpid():
            return None
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            return process.wait(1)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def _exchange(self, process: subprocess.Popen[bytes], content: bytes) -> tuple[bytes, bytes]:
        assert process.stdin is not None
        assert process.stdout is not None
        if not self._is_ready:
            _read(process.stdout, 1)
            self._is_ready = True
        process.stdin.write(len(content).to_bytes(_LENGTH, "big") + content)
        process.stdin.flush()
        return _read(process.stdout, 1), _read_frame(process.stdout)


def draw_one(job: DrawingJob) -> bytes:
    """Draw a chart as SVG, or turn an SVG into PNG or PDF, in this process."""
    kind, content = job
    if kind == "chart":
        make, data = content
        return to_svg(make(*data)).encode()
    return to_png(content) if kind == "png" else to_pdf(content)


def _read(stream: IO[bytes], length: int) -> bytes:
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return content


def _read_frame(stream: IO[bytes]) -> bytes:
    return _read(stream, int.from_bytes(_read(stream, _LENGTH), "big"))


def main() -> None:
    """Draw what comes in until the input ends; what libraries print goes where errors go.

    The argument is the seconds of the processor for one picture. The system counts them and ends
    the process (SIGPROF), also where it does not come back from the library.
    """
    work = float(sys.argv[1])
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with contextlib.suppress(EOFError, BrokenPipeError):  # its parent is gone
        answers.write(_READY)
        answers.flush()
        while True:
            content = _read_frame(sys.stdin.buffer)
            _count_work(work)
            kind, answer = _answer(content)
            _count_work(0.0)
            answers.write(kind + len(answer).to_bytes(_LENGTH, "big") + answer)
            answers.flush()
    os._exit(0)  # the engine takes its time to put everything away


def _count_work(seconds: float) -> None:
    """End this process after so many seconds of the processor; 0: never."""
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _answer(content: bytes) -> tuple[bytes, bytes]:
    """Content comes from the process that started this one, and from nobody else."""
    try:
        job: DrawingJob = pickle.loads(content)
    except Exception as error:
        return _UNKNOWN, f"{type(error).__name__}: {error}".encode()
    try:
        return _DRAWN, draw_one(job)
    except Exception as error:
        return _FAILED, f"{type(error).__name__}: {error}".encode("utf-8", "replace")


if __name__ == "__main__":
    main()
