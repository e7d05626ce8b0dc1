"""Serve an application until somebody stops it."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from normlab.errors import UsageError
from normlab.serving.web.limits import App


def serve(app: App, host: str, port: int, started: Callable[[str], None]) -> None:
    """Serve until Ctrl-C; `started` is told the address.

    Raises:
        UsageError: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"cannot serve at {host}, port {port}: {reason}; choose another --port, or 0 for any"
        ) from None
    shown = f"[{host}]" if ":" in host else host
    started(f"http://{shown}:{listening.getsockname()[1]}/")
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=5,
        server_header=False,
        lifespan="off",
    )
    with listening:
        uvicorn.Server(config).run(sockets=[listening])
