"""Serve the page while the study runs; it is written again whenever the records have grown.

Only this machine can read it (127.0.0.1, asked for by that name or as localhost, and by no page of
another site), and only the page and the first look at the pictures are served, no other file.
Nothing is drawn while nobody looks: a page is built when one was asked for in the last seconds, and
where the study trains in this process in one of its own, so that the runs are not held up.
"""

from __future__ import annotations

import contextlib
import errno
import http.server
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from normlab.errors import StorageError
from normlab.records.data_report import LOOK
from normlab.records.robustness import ROBUSTNESS
from normlab.report.page.build import build_report
from normlab.text import in_markup

HOST = "127.0.0.1"
LOCAL = ("127.0.0.1", "localhost")
"""Names by which a browser on this machine asks for it."""
IDLE = 10.0
"""Seconds after which a connection that sends nothing is closed."""
CONNECTIONS = 32
"""At once; a browser has six."""
PORT = 8231
"""Where a study that runs is looked at, if nobody else has this port."""
SECONDS = 2.0
"""Seconds between two looks at the records."""
WATCHED = 15.0
"""Seconds after a request in which somebody is taken to look still."""
REST = 3.0
"""A page is not built again before so many times the seconds that it took have passed."""
_WAITING = (
    '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">'
    "<title>normlab</title><p>The page is being drawn …</p>"
)

Log = Callable[[str], None]
Build = Callable[[Path], bytes]


def build_here(study: Path) -> bytes:
    """The page of a study, built in this process."""
    return build_report(study, exports=False).read_bytes()


class OtherProcess:
    """Builds pages in a process of its own, of which there is one at a time."""

    def __init__(self) -> None:
        """Nothing is started yet."""
        self._child: subprocess.Popen[bytes] | None = None
        self._ended = False

    def __call__(self, study: Path) -> bytes:
        """The page of a study.

        Raises:
            StorageError: it cannot be built, or `end` was called meanwhile.
        """
        if self._ended:
            raise StorageError("no further page is built")
        command = [sys.executable, "-m", "normlab.report.page.live", str(study)]
        self._child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        page, errors = self._child.communicate()
        if self._child.returncode:
            lines = errors.decode(errors="replace").strip().splitlines() or ["it was ended"]
            raise StorageError(f"the page cannot be drawn: {lines[-1]}")
        return Path(page.decode().strip()).read_bytes()

    def end(self) -> None:
        """End the process that builds, if there is one; no other is started."""
        self._ended = True
        if self._child is not None and self._child.poll() is None:
            if hasattr(os, "killpg"):  # with those that draw for it, which hold its pipes open
                os.killpg(self._child.pid, signal.SIGKILL)
            else:
                self._child.kill()
            self._child.wait()


class LivePage:
    """The latest page of a study, with a stamp that changes when its records do."""

    def __init__(self, study: Path, build: Build = build_here) -> None:
        """Bind to a study; nothing is built yet."""
        self.study = study
        self.status: Callable[[], str] = lambda: ""
        """What is said above the page, as how long the study will take."""
        self._build = build
        self._lock = threading.Lock()
        self._stamp = ""
        self._page = b""

    def current(self) -> tuple[str, bytes]:
        """The stamp and the page that belongs to it."""
        with self._lock:
            return self._stamp, self._page

    def shown(self) -> bytes:
        """The page as it is served: with the status above it; before the first, that it comes."""
        page = self.current()[1] or _WAITING.encode()
        if not (status := self.status()):
            return page
        line = f'<p role="status" style="margin:.5rem 1rem">{in_markup(status)}</p>'
        return re.sub(rb"<body[^>]*>", lambda found: found[0] + line.encode(), page, count=1)

    def refresh(self) -> bool:
        """Build the page again if the records have changed; whether it did."""
        stamp = records_stamp(self.study)
        if stamp == self._stamp:
            return False
        page = self._build(self.study)
        marked = page.replace(
            b'<html lang="en">', f'<html lang="en" data-watch="{stamp}">'.encode()
        )
        with self._lock:
            self._stamp, self._page = stamp, marked
        return True


def records_stamp(study: Path) -> str:
    """Short text that is another one when a row, an outcome or a picture was written."""
    files = [
        study / "study.toml",
        study / "data.json",
        *(study / "runs").glob("*/epochs.jsonl"),
        *(study / "runs").glob("*/outcome.json"),
        *(study / "explain").glob("*"),
        study / ROBUSTNESS,
    ]
    count = size = newest = 0
    for file in files:
        try:
            facts = file.stat()
        except OSError:  # a file that is being replaced, or is not there
            continue
        count, size = count + 1, size + facts.st_size
        newest = max(newest, facts.st_mtime_ns)
    return f"{count}-{size}-{newest}"


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers for the page and for its stamp, and for nothing else."""

    server: _Server
    server_version, sys_version = "normlab", ""
    timeout = IDLE
    """Of a connection: who sends nothing for so long holds no thread."""

    def do_GET(self) -> None:
        if not self._is_from_here():
            self.send_error(403)
            return
        self.server.asked = time.monotonic()
        path = self.path.split("?")[0]
        if path in ("/", "/index.html"):
            self._answer(self.server.live_page.shown(), "text/html; charset=utf-8")
        elif path == "/stamp":
            stamp = self.server.live_page.current()[0]
            self._answer(stamp.encode(), "text/plain; charset=utf-8")
        elif path == f"/{LOOK}" and (look := self.server.live_page.study / LOOK).is_file():
            self._answer(look.read_bytes(), "text/html; charset=utf-8")
        else:
            self.send_error(404)

    def _is_from_here(self) -> bool:
        """Whether the address that was asked for is this server's own.

        A page of another site can let its own name point to this machine and then read what is
        answered to that name; and what it fetches itself says where it comes from.
        """
        port = self.server.server_address[1]
        names = {f"{name}{end}" for name in LOCAL for end in ("", f":{port}")}
        origin = self.headers.get("Origin")
        return self.headers.get("Host", "").lower() in names and (
            origin is None or origin.removeprefix("http://").lower() in names
        )

    def _answer(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: requests every two seconds are no news."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = False  # a port that another program has is not taken from it

    def __init__(self, live_page: LivePage, port: int) -> None:
        self.live_page = live_page
        self.asked = float("-inf")
        """When somebody asked for anything, by time.monotonic."""
        self._free = threading.Semaphore(CONNECTIONS)
        super().__init__((HOST, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, while there are some left; else the connection is closed."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """As inherited; then the next one may come."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}/"


def open_server(live_page: LivePage, port: int) -> _Server:
    """A server at the port or, where that is taken, at another one.

    Raises:
        StorageError: there is no port at all.
    """
    try:
        return _Server(live_page, port)
    except OSError as error:
        if not port or error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise StorageError(f"cannot serve on {HOST}:{port}: {error.strerror}") from error
    return open_server(live_page, 0)


@contextlib.contextmanager
def live_view(study: Path, port: int = PORT) -> Iterator[tuple[str, LivePage]]:
    """Inside the block the page of a study that runs in this process can be looked at.

    Gives the address and the page, whose status may be set. Afterwards nothing of it is left.

    Raises:
        StorageError: there is no port at all.
    """
    builder = OtherProcess()
    live_page = LivePage(study, builder)
    server = open_server(live_page, port)
    stop = threading.Event()
    threads = [
        threading.Thread(target=server.serve_forever, daemon=True),
        threading.Thread(target=_refresh_while_watched, args=(server, stop), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield server.address, live_page
    finally:
        stop.set()
        builder.end()
        server.shutdown()
        server.server_close()
        for thread in threads:
            thread.join()


def _refresh_while_watched(server: _Server, stop: threading.Event) -> None:
    wait = SECONDS / 4
    while not stop.wait(wait):
        wait = SECONDS / 4
        if time.monotonic() - server.asked < WATCHED:
            start = time.monotonic()
            with contextlib.suppress(StorageError):  # the next look may find it whole
                if server.live_page.refresh():
                    wait = max(SECONDS, REST * (time.monotonic() - start))


def serve_live(
    study: Path, port: int = 0, *, log: Log, stop: threading.Event | None = None
) -> None:
    """Serve until Ctrl-C (or until `stop` is set); port 0 takes one that is free.

    Where the port is taken, another one is, and the line that is logged says which.

    Raises:
        PlanError: there is no study.toml, or it cannot be used.
        StorageError: there is no port at all.
    """
    stop = stop or threading.Event()
    live_page = LivePage(study)
    live_page.refresh()
    server = open_server(live_page, port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    taken = f"; port {port} is taken" if port and server.server_address[1] != port else ""
    log(f"Serving  {server.address}   (Ctrl-C ends it{taken})")
    try:
        while not stop.wait(SECONDS):
            try:
                live_page.refresh()
            except StorageError as error:  # the next look may find it whole
                log(f"Waiting  {error}")
    except KeyboardInterrupt:
        log("Ended")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":
    sys.stdout.write(f"{build_report(Path(sys.argv[1]), exports=False)}\n")
