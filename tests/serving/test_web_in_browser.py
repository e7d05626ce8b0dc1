"""The page of `normlab serve` in a real browser: a picture is chosen, two networks answer."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import browser
from normlab.cli.verbs.serve import _coloured_map
from normlab.records.run import DataSpec, RunSpec
from normlab.serving.predictor import Predictor
from normlab.serving.web.limits import Limits
from normlab.train.network import build_network

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(browser.missing()), reason=browser.missing() or "-"),
]
for module in ("fastapi", "uvicorn", "python_multipart"):
    pytest.importorskip(module)


def predictor(norm: str) -> Predictor:
    data = DataSpec(fingerprint="f", classes=("7", "<i>dog", "0"), image_size=16)
    spec = RunSpec(arm=norm, block=0, data=data, network={"name": "resnet8"}, norm=norm)
    return Predictor(spec, build_network(spec).eval(), torch.full((3,), 0.5), torch.full((3,), 0.2))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    uvicorn = importlib.import_module("uvicorn")
    app = importlib.import_module("normlab.serving.web.app")
    networks = {name: predictor(name) for name in ("bn", "gn:groups=4")}
    made = app.make_app(networks, _coloured_map, Limits())
    config = uvicorn.Config(made, port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    thread.join(10)


def test_a_picture_is_chosen(address: str, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(picture)
    with browser.Browser() as page:
        page.open(address)
        give(page, picture)
        wait(page, "document.querySelectorAll('section.answer').length === 2")
        heads = "[...document.querySelectorAll('section.answer h2')].map(e => e.textContent)"
        assert page.run(heads) == ["bn", "gn:groups=4"]
        assert page.run("document.querySelectorAll('section.answer i').length") == 0
        rows = "[...document.querySelector('table').rows].map(row => row.cells[2].textContent)"
        shares = [float(text.rstrip(" %")) for text in page.run(rows)]
        assert shares == sorted(shares, reverse=True)
        first = page.run("document.querySelector('table').rows[0].cells[0].textContent")
        assert page.run("document.querySelector('.class').textContent").startswith(f"{first}, ")
        assert not page.errors
        assert page.run("document.querySelector('img.map').naturalWidth") == 16
        page.run(
            "strength.value = 20; strength.dispatchEvent(new Event('input')); "
            "document.querySelector('img.map').style.opacity"
        )
        assert page.run("document.querySelector('img.map').style.opacity") == "0.2"
        (tmp_path / "none.png").write_bytes(b"no picture")
        give(page, tmp_path / "none.png")
        wait(page, "said.textContent.includes('not an image')")
        own = [url for url in page.requests if not url.startswith(("data:", "blob:"))]
        assert all(url.startswith(address) for url in own)
        page.open(f"{address}docs")
        assert "POST /predict" in page.run("document.body.textContent")


def give(page: browser.Browser, path: Path) -> None:
    """Choose a file, as a person does in the dialog."""
    root = page.send("DOM.getDocument")["root"]["nodeId"]
    node = page.send("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
    page.send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])


def wait(page: browser.Browser, condition: str) -> None:
    for _ in range(600):
        if page.run(condition):
            return
        time.sleep(0.05)
    raise AssertionError(condition)
