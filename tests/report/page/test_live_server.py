"""The live page answers this machine's own browser, and nobody else for long."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from normlab.report.page import live
from normlab.report.page.live import CONNECTIONS, LivePage, open_server


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(live._Handler, "timeout", 0.5)
    server = open_server(LivePage(tmp_path, lambda study: b"<html>"), 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def status(port: int, path: str = "/", **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers)
    found = connection.getresponse().status
    connection.close()
    return found


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1:{port}", 200), ("localhost:{port}", 200), ("LOCALHOST:{port}", 200),
     ("evil.example", 403), ("127.0.0.1.evil.example:{port}", 403), ("localhost:1", 403),
     ("", 403)],
)  # fmt: skip
def test_only_its_own_name_is_answered(port: int, host: str, expected: int) -> None:
    assert status(port, Host=host.format(port=port)) == expected


def test_another_sites_page_is_not_answered(port: int) -> None:
    assert status(port, Origin="https://evil.example") == 403
    assert status(port, Origin="null") == 403
    assert status(port, Origin=f"http://127.0.0.1:{port}") == 200


def test_the_first_look_is_served_beside_the_page_and_nothing_else(
    port: int, tmp_path: Path
) -> None:
    assert status(port, "/look.html") == 404
    (tmp_path / "look.html").write_text("<html>")
    (tmp_path / "data.json").write_text("{}")
    assert status(port, "/look.html") == 200
    assert status(port, "/data.json") == 404
    assert status(port, "/../look.html") == 404


def test_a_silent_connection_is_closed(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
        one.sendall(b"GET / HTTP/1.1\r\n")
        assert one.recv(100) == b""


def test_there_is_an_end_to_connections_and_it_is_given_back(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(CONNECTIONS)]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as one_more:
        assert one_more.recv(100) == b""  # at once; those that are held wait for half a second
    for one in held:
        one.close()
    for _ in range(100):
        try:
            if status(port) == 200:
                return
        except OSError:
            pass
    pytest.fail("no connection was given back")
