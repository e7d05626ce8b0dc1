"""normlab serve by the command: what it refuses before it listens."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

import pytest


@pytest.fixture
def _needs_the_extra() -> None:
    for module in ("fastapi", "uvicorn", "python_multipart"):
        pytest.importorskip(module)


@pytest.mark.usefixtures("_needs_the_extra")
def test_bad_input(normlab, study: Path) -> None:
    normlab("serve", "nowhere").assert_one_sentence("nowhere is not a run")
    normlab("serve", study, "--arms", "bn,bn").assert_one_sentence("names an arm twice")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = normlab("serve", study, "--port", port)
    found.assert_one_sentence(f"port {port}", "choose another --port")


def test_without_the_extra(normlab, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    normlab("serve", study).assert_one_sentence('pip install "normlab[serve]"')
