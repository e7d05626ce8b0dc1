"""The server: answers, limits, and what it refuses, each with a sentence."""

from __future__ import annotations

import asyncio
import base64
import importlib
import io
import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from normlab.cli.verbs.serve import _coloured_map
from normlab.records.run import DataSpec, RunSpec
from normlab.serving.predictor import Predictor
from normlab.serving.web.batching import Batcher
from normlab.serving.web.limits import Guard, Limits, RateLimit
from normlab.train.network import build_network

for module in ("fastapi", "uvicorn", "python_multipart"):
    pytest.importorskip(module)
make_app = importlib.import_module("normlab.serving.web.app").make_app

CLASSES = ("cat", "dog", "<b>owl")


def predictor(norm: str = "bn", size: int = 16) -> Predictor:
    data = DataSpec(fingerprint="f", classes=CLASSES, image_size=size)
    spec = RunSpec(arm=norm, block=0, data=data, network={"name": "resnet8"}, norm=norm)
    return Predictor(spec, build_network(spec).eval(), torch.full((3,), 0.5), torch.full((3,), 0.2))


def png(size: tuple[int, int] = (20, 14)) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def form(content: bytes, name: str = "a.png") -> tuple[bytes, dict[str, str]]:
    head = f'--x\r\nContent-Disposition: form-data; name="picture"; filename="{name}"\r\n\r\n'
    body = head.encode() + content + b"\r\n--x--\r\n"
    return body, {"content-type": "multipart/form-data; boundary=x"}


class Client:
    """Asks an application as a server would, without one."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None,
        between: float = 0.0,
    ) -> tuple[int, dict[str, str], bytes]:  # fmt: skip
        path, _, query = path.partition("?")
        sent = {"host": "localhost:1", "content-length": str(len(body)), **(headers or {})}
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "path": path, "raw_path": path.encode(), "query_string": query.encode(),
            "scheme": "http", "server": ("localhost", 1), "client": ("127.0.0.1", 2),
            "headers": [(k.encode(), v.encode()) for k, v in sent.items()], "root_path": "",
        }  # fmt: skip
        parts = [body[: len(body) // 2], body[len(body) // 2 :]]
        answers: list[Any] = []

        async def receive() -> dict[str, Any]:
            if not parts:
                await asyncio.sleep(60)
            await asyncio.sleep(between)
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        async def send(message: Any) -> None:
            answers.append(message)

        asyncio.run(self.app(scope, receive, send))
        found = {k.decode(): v.decode() for k, v in answers[0]["headers"]}
        return answers[0]["status"], found, b"".join(m.get("body", b"") for m in answers[1:])

    def refused(self, status: int, words: str, *request: Any, **more: Any) -> None:
        found, _, body = self(*request, **more)
        assert found == status, body
        detail = json.loads(body)["detail"]
        assert words in detail
        assert "Traceback" not in detail


@pytest.fixture(scope="module")
def networks() -> dict[str, Predictor]:
    return {"bn": predictor(), "gn": predictor("gn:groups=4")}


@pytest.fixture(scope="module")
def client(networks) -> Iterator[Client]:
    return Client(make_app(networks, _coloured_map, Limits(body=20_000, seconds=0.5)))


def test_predict_is_what_the_predictor_says(client: Client, networks) -> None:
    body, headers = form(png((16, 16)), "../../etc/passwd\x00.png")
    for name in ("bn", "gn"):
        status, _, answer = client("POST", f"/predict?network={name}", body, headers)
        assert status == 200, answer
        found = json.loads(answer)
        pixels = np.asarray(Image.open(io.BytesIO(png((16, 16)))))
        (expected,) = networks[name].probabilities(iter([pixels]))
        for place, share in enumerate(expected):
            assert found["probabilities"][CLASSES[place]] == pytest.approx(float(share), abs=1e-6)
        assert found["prediction"] == CLASSES[int(expected.argmax())]
        assert list(found["probabilities"].values()) == sorted(expected.tolist(), reverse=True)


def test_explain(client: Client) -> None:
    body, headers = form(png())
    status, _, answer = client("POST", "/explain?target=dog", body, headers)
    found = json.loads(answer)
    assert status == 200
    assert found["explained"] == "dog"
    image = Image.open(io.BytesIO(base64.b64decode(found["map"].partition(",")[2])))
    assert image.mode == "RGBA"
    assert image.size == (16, 16)
    client.refused(404, "no class of that name", "POST", "/explain?target=cow", body, headers)


def test_pages_ask_nobody_else(client: Client) -> None:
    for path in ("/", "/docs"):
        status, headers, page = client("GET", path)
        assert status == 200
        assert b"http://" not in page
        assert b"https://" not in page
        assert headers["content-security-policy"].startswith("default-src 'none'")
    status, _, api = client("GET", "/openapi.json")
    assert {"/predict", "/explain", "/health", "/metrics"} <= json.loads(api)["paths"].keys()


def test_health_and_metrics(client: Client) -> None:
    body, headers = form(png())
    client("POST", "/predict", body, headers)
    assert json.loads(client("GET", "/health")[2])["networks"] == ["bn", "gn"]
    text = client("GET", "/metrics")[2].decode()
    assert 'normlab_requests_total{path="/predict",status="200"}' in text
    assert 'normlab_predict_seconds{quantile="0.99"}' in text
    assert 'normlab_pictures_total{network="bn"}' in text


def test_what_is_refused(client: Client) -> None:
    body, headers = form(b"no picture")
    client.refused(422, "is not an image", "POST", "/predict", body, headers)
    client.refused(422, "is empty", "POST", "/predict", *form(b""))
    client.refused(422, "", "POST", "/predict", *form(png()[:60]))
    body, headers = form(png())
    client.refused(404, "no network of that name", "POST", "/predict?network=x", body, headers)
    long = {**headers, "content-length": str(200 * 2**20)}
    client.refused(413, "send a smaller picture", "POST", "/predict", b"", long)
    client.refused(413, "smaller", "POST", "/predict", b"x" * 30_000, {"content-length": "5"})
    client.refused(400, "no number", "POST", "/predict", b"", {"content-length": "-3"})
    client.refused(408, "0.5 s to arrive", "POST", "/predict", body, headers, between=1.0)
    client.refused(403, "another name", "GET", "/health", headers={"host": "evil.example"})
    client.refused(403, "another name", "GET", "/health", headers={"host": "[:"})
    client.refused(403, "another site", "GET", "/", headers={"origin": "http://evil.example"})
    assert client("GET", "/", headers={"origin": "http://localhost:1"})[0] == 200
    assert client("GET", "/../../etc/passwd")[0] == 404
    assert client("POST", "/predict", b"{}", {"content-type": "application/json"})[0] == 422


def test_a_picture_of_too_many_pixels(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("normlab.serving.web.app.PIXELS", 100)
    client.refused(413, "at most 100 pixels", "POST", "/predict", *form(png()))


def test_the_rate_of_an_address() -> None:
    now = [0.0]
    limit = RateLimit(2.0, lambda: now[0])
    assert [limit.allows("a") for _ in range(5)] == [True] * 4 + [False]
    assert limit.allows("b")
    now[0] = 0.5
    assert [limit.allows("a") for _ in range(2)] == [True, False]


def test_too_often_and_too_many() -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("not asked")

    client = Client(Guard(slow, Limits(rate=0.1)))
    for _ in range(3):
        last = client.app._rate.allows("127.0.0.1")
    assert not last
    client.refused(429, "ask more slowly", "GET", "/")
    Client(Guard(slow, Limits(at_once=0))).refused(503, "busy", "GET", "/")


def test_pictures_share_a_batch() -> None:
    """While the network is busy others come in, and are one batch."""
    one = predictor()
    batcher = Batcher(one)
    pixels = [np.full((16, 16, 3), value, np.uint8) for value in range(0, 200, 20)]
    expected = list(one.probabilities(iter(pixels)))
    with batcher.lock:
        answers = [batcher.ask(pixels[0])]
        time.sleep(0.05)
        answers += [batcher.ask(picture) for picture in pixels[1:]]
    for answer, probabilities in zip(answers, expected, strict=True):
        np.testing.assert_allclose(answer.result(10), probabilities, atol=1e-6)
    assert batcher.batches == 2
    wrong = batcher.ask(np.zeros((1, 1), np.uint8))
    assert isinstance(wrong.exception(10), Exception)
    np.testing.assert_allclose(batcher.ask(pixels[0]).result(10), expected[0], atol=1e-6)
    batcher.close()
