"""Load on `normlab serve`: as fast as it goes by some connections, then at half of that rate.

normlab serve photos-study --port 8232 --rate 100000 &
python benchmarks/serve_load.py http://127.0.0.1:8232/ picture.jpg
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

CONNECTIONS = 8


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    """One request on a connection that stays open; its status line."""
    writer.write(request)
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    await reader.readexactly(int(lines[b"content-length"]))
    return head.split(b"\r\n")[0]


async def load(host: str, port: int, request: bytes, seconds: float, rate: float | None):
    """Latencies of all requests, answers a second, and how many were refused."""
    latencies: list[float] = []
    refused = 0
    start = time.perf_counter()

    async def client(number: int) -> None:
        nonlocal refused
        reader, writer = await asyncio.open_connection(host, port)
        step = 0.0 if rate is None else CONNECTIONS / rate
        due = start + (number / CONNECTIONS) * step
        while time.perf_counter() - start < seconds:
            if rate is not None:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            begin = time.perf_counter() if rate is None else max(due, start)
            status = await ask(reader, writer, request)
            latencies.append(time.perf_counter() - begin)
            refused += b" 200 " not in status
            due += step
        writer.close()

    await asyncio.gather(*(client(number) for number in range(CONNECTIONS)))
    return np.array(latencies), len(latencies) / (time.perf_counter() - start), refused


def main() -> None:
    """Print throughput and latencies; latencies at a rate are from the time a request was due."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    found = urlsplit(given.address)
    host, port = found.hostname or "127.0.0.1", found.port or 80
    part = b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\n'
    body = part + given.picture.read_bytes() + b"\r\n--x--\r\n"
    head = f"POST /predict HTTP/1.1\r\nHost: {found.netloc}\r\nContent-Length: {len(body)}\r\n"
    request = f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode() + body
    asyncio.run(load(host, port, request, 1.0, None))
    _, most, _ = asyncio.run(load(host, port, request, given.seconds, None))
    for rate in (None, 50.0, most / 2):
        latencies, done, refused = asyncio.run(load(host, port, request, given.seconds, rate))
        p50, p99 = 1000 * np.quantile(latencies, [0.5, 0.99])
        name = "all it can" if rate is None else f"{rate:.0f} a second asked"
        print(f"{name:22} {done:6.1f} a second   p50 {p50:6.1f} ms   p99 {p99:6.1f} ms   "
              f"{refused} refused")  # fmt: skip
    print(f"load of the machine {os.getloadavg()[0]:.1f}, {CONNECTIONS} connections")


if __name__ == "__main__":
    main()
