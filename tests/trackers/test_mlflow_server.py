"""The contract with MLflow's real server on the loopback, read back over HTTP.

It is a package of 100 MB more than the client, so it may live in an environment of its own: name
that one's Python in NORMLAB_TEST_MLFLOW.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from normlab.testing.tracker_contract import PARENT, RUN, ReadBack, TrackerContract
from normlab.trackers.base import Ending, Tracker, TrackerRequest
from normlab.trackers.mlflow import MLflowTracker

pytestmark = pytest.mark.slow
PATIENCE = 240
"""Seconds for the server to answer: it imports for half a minute where others compute, too."""


def python_with_the_server() -> str:
    """The Python that runs the server, or a skip that says what is missing."""
    pytest.importorskip("mlflow", reason="MLflow's client is not installed")
    if named := os.environ.get("NORMLAB_TEST_MLFLOW"):
        return named
    if find_spec("flask") is None:
        pytest.skip("MLflow's full server is not installed; name its Python in NORMLAB_TEST_MLFLOW")
    return sys.executable


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that keeps everything in a folder of the test's."""
    python = python_with_the_server()
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(python, "-W", "ignore", "-m", "mlflow", "server", "--host", "127.0.0.1"),
        *("--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'runs.db'}"),
        *("--artifacts-destination", str(folder / "files")),
    ]
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    environment["MLFLOW_DISABLE_TELEMETRY"] = "true"
    address, log = f"http://127.0.0.1:{port}", folder / "log.txt"
    with log.open("w") as output, subprocess.Popen(
        command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
    ) as process:  # fmt: skip
        try:
            end = time.monotonic() + PATIENCE
            while not answers(address):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.5)
            yield address
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(30)
                os.killpg(process.pid, 9)


@pytest.fixture(autouse=True)
def _the_clients_own_warnings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class TestMLflowServer(TrackerContract):
    """By HTTP, as `--track mlflow:http://…` does."""

    @pytest.fixture
    def request_(self, tmp_path: Path, server: str) -> TrackerRequest:
        return TrackerRequest(tmp_path, "birds", "f" * 64, server)

    def make(self, request: TrackerRequest) -> Tracker:
        return MLflowTracker(request)

    def read(self, request: TrackerRequest, name: str) -> ReadBack:
        from mlflow.tracking import MlflowClient

        client = MlflowClient(request.options)
        run = client.get_run(name)
        names = run.data.metrics
        metrics = {k: {m.step: m.value for m in client.get_metric_history(name, k)} for k in names}
        return ReadBack(metrics, run.data.params, f"{run.data.tags} {run.info.status}")

    def test_files_go_through_the_server(self, request_: TrackerRequest, tmp_path: Path) -> None:
        """And the runs hang below their study's."""
        from mlflow.tracking import MlflowClient

        page = tmp_path / "index.html"
        page.write_text("<p>the page</p>")
        tracker = self.make(request_)
        parent = tracker.begin(PARENT, None, None)
        child = tracker.begin(RUN, None, parent)
        tracker.end(parent, Ending("finished", files=(page,)))
        tracker.close()
        client = MlflowClient(request_.options)
        copied = client.download_artifacts(parent, "index.html", str(tmp_path))
        assert Path(copied).read_text() == "<p>the page</p>"
        assert client.get_run(child).data.tags["mlflow.parentRunId"] == parent
