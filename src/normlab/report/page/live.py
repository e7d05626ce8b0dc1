"""Serve the page while the study runs; it is written again whenever the records have grown.

Only this machine can read it (127.0.0.1), and only the page is served, no other file.
"""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable
from pathlib import Path

from normlab.errors import StorageError
from normlab.records.robustness import ROBUSTNESS
from normlab.report.page.build import build_report

HOST = "127.0.0.1"
SECONDS = 2.0
"""Seconds between two looks at the records."""

Log = Callable[[str], None]


class LivePage:
    """The latest page of a study, with a stamp that changes when its records do."""

    def __init__(self, study: Path) -> None:
        """Bind to a study; nothing is built yet."""
        self.study = study
        self._lock = threading.Lock()
        self._stamp = ""
        self._page = b""

    def current(self) -> tuple[str, bytes]:
        """The stamp and the page that belongs to it."""
        with self._lock:
            return self._stamp, self._page

    def refresh(self) -> bool:
        """Build the page again if the records have changed; whether it did."""
        stamp = records_stamp(self.study)
        if stamp == self._stamp:
            return False
        page = build_report(self.study, exports=False).read_bytes()
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

    def do_GET(self) -> None:
        stamp, page = self.server.live_page.current()
        path = self.path.split("?")[0]
        if path in ("/", "/index.html"):
            self._answer(page, "text/html; charset=utf-8")
        elif path == "/stamp":
            self._answer(stamp.encode(), "text/plain; charset=utf-8")
        else:
            self.send_error(404)

    def _answer(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: requests every two seconds are no news."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, live_page: LivePage, port: int) -> None:
        self.live_page = live_page
        super().__init__((HOST, port), _Handler)


def serve_live(
    study: Path, port: int = 0, *, log: Log, stop: threading.Event | None = None
) -> None:
    """Serve until Ctrl-C (or until `stop` is set); port 0 takes one that is free.

    Raises:
        PlanError: there is no study.toml, or it cannot be used.
        StorageError: the port is taken.
    """
    stop = stop or threading.Event()
    live_page = LivePage(study)
    live_page.refresh()
    try:
        server = _Server(live_page, port)
    except OSError as error:
        raise StorageError(
            f"cannot serve on {HOST}:{port}: {error.strerror}; give another --port"
        ) from error
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    log(f"Serving  http://{HOST}:{server.server_address[1]}/   (Ctrl-C ends it)")
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
