"""A real Chromium for the tests of the page, driven through its DevTools protocol.

Needs a chromium on the path and the package websockets; `missing()` names what is not there. Every
request that leaves the page's own address, and every error on its console, is kept.
"""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-default-apps", "--hide-scrollbars", "--remote-debugging-port=0"),
    "--remote-allow-origins=*",
)


def executable() -> str | None:
    """The browser on this machine."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def missing() -> str:
    """What the tests need and is not here; empty if all is."""
    if executable() is None:
        return "chromium is not installed"
    if importlib.util.find_spec("websockets") is None:
        return "the package websockets is not installed"
    return ""


def axe_script() -> str | None:
    """The source of axe-core, out of a package that carries it."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or not found.submodule_search_locations:
        return None
    path = Path(next(iter(found.submodule_search_locations))) / "axe.min.js"
    return path.read_text(encoding="utf-8") if path.exists() else None


class Browser:
    """One browser with one page."""

    def __init__(self, width: int = 1180, height: int = 900) -> None:
        self.profile = tempfile.mkdtemp(prefix="normlab-browser-")
        program = executable()
        assert program is not None
        self.process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={self.profile}", f"--window-size={width},{height}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.width, self.height = width, height
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._events: list[dict[str, Any]] = []
        self._number = 0
        self._open = contextlib.ExitStack()
        try:
            self.socket = self._connect()
        except BaseException:
            self._end()
            raise
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self) -> Any:
        from websockets.sync.client import connect

        port_file = Path(self.profile) / "DevToolsActivePort"
        for _ in range(300):
            if port_file.exists() and port_file.read_text().strip():
                break
            time.sleep(0.1)
        port = port_file.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=20) as answer:
            targets = json.load(answer)
        page = next(target for target in targets if target["type"] == "page")
        return self._open.enter_context(
            connect(page["webSocketDebuggerUrl"], max_size=None, proxy=None, ping_interval=None)
        )

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command; what happened meanwhile is kept."""
        self._number += 1
        self.socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv(timeout=120))
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                result: dict[str, Any] = message["result"]
                return result
            self._keep(message)

    def _keep(self, message: dict[str, Any]) -> None:
        method, given = message.get("method"), message.get("params", {})
        self._events.append(message)
        if method == "Runtime.exceptionThrown":
            details = given["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and given["type"] in ("error", "assert"):
            self.errors.append(str(given["args"]))
        elif method == "Log.entryAdded" and given["entry"]["level"] == "error":
            self.errors.append(given["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(given["request"]["url"])

    def open(self, address: str) -> float:
        """Go there; seconds until the page's script is done, or the page loaded if it has none."""
        self.send("Page.navigate", url="about:blank")
        self.errors.clear()
        self.requests.clear()
        start = time.perf_counter()
        self.send("Page.navigate", url=address)
        for _ in range(1200):
            with contextlib.suppress(RuntimeError):  # between two documents there is none
                ready = self.run(
                    "location.href !== 'about:blank' && document.readyState === 'complete' && "
                    "(!document.scripts.length || document.documentElement.dataset.ready === '')"
                )
                if ready:
                    break
            time.sleep(0.02)
        # and painted: the frame after the next one is on the screen
        self.run(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))"
        )
        return time.perf_counter() - start

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        answer = self.send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description"))
        return answer["result"].get("value")

    def choose(self, selector: str, value: str) -> None:
        """Choose in a select, or check a radio button, as a user's input would."""
        self.run(
            f"(() => {{ const e = document.querySelector({selector!r});"
            f" if (e.type === 'radio') e.click(); else {{ e.value = {value!r};"
            " e.dispatchEvent(new Event('change', {bubbles: true})); } })()"
        )

    def move(self, x: float, y: float) -> None:
        """The mouse, and two frames for the page to answer."""
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.run(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))"
        )

    def key(self, name: str) -> None:
        """A key, pressed and let go."""
        codes = {"Tab": 9, "Enter": 13, "ArrowDown": 40}
        text = {"text": "\r"} if name == "Enter" else {}
        given = {"key": name, "code": name, "windowsVirtualKeyCode": codes[name]}
        self.send("Input.dispatchKeyEvent", type="keyDown", **given, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", **given)

    def media(self, scheme: str = "light", kind: str = "") -> None:
        """Light or dark; `kind` "print" for the printed form."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.send("Emulation.setEmulatedMedia", media=kind, features=features)

    def resize(self, width: int, height: int = 900) -> None:
        """The window."""
        self.width, self.height = width, height
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def picture(self, path: Path, whole: bool = True) -> None:
        """A screenshot, of the whole page or of the window."""
        if whole:
            height = self.run("document.documentElement.scrollHeight")
            self.resize(self.width, min(int(height) + 20, 16000))
        content = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(content["data"]))

    def pdf(self, path: Path) -> None:
        """The printed page."""
        content = self.send("Page.printToPDF", printBackground=False, preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(content["data"]))

    def axe(self, script: str) -> list[dict[str, Any]]:
        """What axe-core finds, of any weight."""
        self.run(script + "; 1")
        found: list[dict[str, Any]] = self.run(
            "axe.run(document, {resultTypes: ['violations']}).then(r => r.violations.map(v => "
            "({id: v.id, impact: v.impact, nodes: v.nodes.slice(0, 4).map(n => n.html.slice(0, 200)"
            " + ' | ' + (n.failureSummary || '').slice(0, 300))})))"
        )
        return found

    def close(self) -> None:
        """End the browser and remove its profile."""
        self._open.close()
        self._end()

    def _end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)
