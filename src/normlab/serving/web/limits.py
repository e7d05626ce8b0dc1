"""What a request may be: from whom, how large, how slow, how often."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOCAL = ("127.0.0.1", "localhost", "::1")
MOST_CLIENTS = 1024
"""Addresses that are remembered for their rate."""


@dataclass(frozen=True)
class Limits:
    """What is allowed."""

    hosts: tuple[str, ...] = LOCAL
    """Names by which the server may be asked for; of another site's page no request is taken."""
    body: int = 10 * 2**20
    """Bytes of a request."""
    seconds: float = 10.0
    """For a request to arrive as a whole."""
    rate: float = 200.0
    """Requests a second and address, over some seconds."""
    at_once: int = 64
    """Requests that are worked on at the same time."""


@dataclass
class RateLimit:
    """A bucket of tokens an address: two seconds' worth at once, refilled by the rate."""

    rate: float
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)

    def allows(self, address: str) -> bool:
        """Whether an address may ask now; asking takes a token."""
        now, full = self.clock(), max(2 * self.rate, 1.0)
        tokens, before = self._buckets.pop(address, (full, now))
        tokens = min(full, tokens + (now - before) * self.rate)
        if len(self._buckets) >= MOST_CLIENTS:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[address] = (tokens - (tokens >= 1), now)
        return tokens >= 1


class Guard:
    """Stands before the application and refuses, each time with one sentence."""

    def __init__(self, app: App, limits: Limits) -> None:
        """Guard an ASGI application."""
        self._app, self._limits = app, limits
        self._rate = RateLimit(limits.rate)
        self._open = 0
        self.refused: dict[int, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, whole, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is None and self._open >= self._limits.at_once:
            refusal = 503, "the server is busy; ask again in a second"
        if refusal is not None:
            await self._refuse(send, *refusal)
            return
        self._open += 1
        try:
            try:
                body = await asyncio.wait_for(self._read(receive), self._limits.seconds)
            except TimeoutError:
                seconds = f"{self._limits.seconds:g}"
                await self._refuse(send, 408, f"the request took more than {seconds} s to arrive")
                return
            if body is None:
                await self._refuse(send, 413, self._too_large)
                return
            await self._app(scope, _once(body, receive), send)
        finally:
            self._open -= 1

    @property
    def _too_large(self) -> str:
        return f"a request has at most {self._limits.body / 2**20:g} MiB; send a smaller picture"

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        if _hostname(headers.get("host", "")) not in self._limits.hosts:
            return 403, "this server is asked for by another name; start it with --host NAME"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            return 403, "a page of another site may not ask this server"
        length = headers.get("content-length", "0")
        if not length.isdigit():
            return 400, "the length of the request is no number"
        if int(length) > self._limits.body:
            return 413, self._too_large
        client = scope.get("client") or ("", 0)
        if not self._rate.allows(str(client[0])):
            return 429, f"more than {self._limits.rate:g} requests a second; ask more slowly"
        return None

    async def _read(self, receive: Receive) -> bytes | None:
        """The body; None where it is too large."""
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return b""
            size += len(message.get("body", b""))
            if size > self._limits.body:
                return None
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                return b"".join(parts)

    async def _refuse(self, send: Send, status: int, sentence: str) -> None:
        import json

        self.refused[status] = self.refused.get(status, 0) + 1
        body = json.dumps({"detail": sentence}).encode()
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        headers += [(b"content-length", str(len(body)).encode())]
        headers += [(b"retry-after", b"1")] if status in (429, 503) else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _once(body: bytes, receive: Receive) -> Receive:
    """A body that was read, as a stream; afterwards the client's end of the connection."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
