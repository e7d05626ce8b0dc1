"""Preparation of as many images as ImageNet has, by simulation: memory, disk, time, a kill.

    python benchmarks/many_images.py 1300000 --cache /tmp/many       32 px
    python benchmarks/many_images.py 20000 --cache /tmp/few          the same, in a minute

A source that is not there: so many files of 1,000 classes under ImageNet's names, no two of them
equal, and a decoder that is not there either: a file is one of 64 pictures, by its number (what
decoding costs is measured by data.py; add it). Everything else is real: threads, hashes, sums,
checksums, notes, the cache. A first process is killed when half is decoded; a second one
goes on; then every byte of the cache is compared with its picture, without the
library's reader. A third process opens the entry, and trains on random batches of it, as another
machine with the same folder would.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from normlab.data import read_images
from normlab.data.dataset import prepared
from normlab.data.layout import Item
from normlab.data.load import block_data
from normlab.data.sources.base import Source
from normlab.records.run import DataSpec, RunSpec

CLASSES, PICTURES, BYTES = 1000, 64, 10_000
"""Of a file; those of ImageNet are eleven times as long, and take .1 ms more to be hashed."""


class Simulated(Source):
    """So many images that differ in their bytes."""

    def __init__(self, count: int) -> None:
        self.location = f"simulation of {count:,} images"
        per_class = -(-count // CLASSES)
        self._items = [
            Item(f"n{1440000 + k // per_class:08d}/n{1440000 + k // per_class:08d}_{k:07d}.JPEG",
                 f"n{1440000 + k // per_class:08d}")
            for k in range(count)
        ]  # fmt: skip
        generator = np.random.default_rng(0)
        self.reads = 0
        self.filler = generator.bytes(BYTES)

    def items(self) -> Sequence[Item]:
        """All images."""
        return self._items

    def read(self, name: str) -> bytes:
        """The same bytes with the image's number at the end."""
        self.reads += 1
        return self.filler + int(name[-12:-5]).to_bytes(4, "big")

    def stamps(self) -> Iterable[tuple[int, ...]]:
        """Their number, since nothing else can change."""
        return [(len(self._items),)]


def pictures(size: int) -> np.ndarray:
    """The 64 pictures."""
    shape = (PICTURES, size, size, 3)
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def without_decoder(size: int) -> None:
    """Let files be looked up by their number."""
    known = pictures(size)

    def look_up(content: bytes, size: int, resize: str) -> tuple[np.ndarray, int, int]:
        return known[int.from_bytes(content[-4:], "big") % PICTURES], 500, 375

    read_images.decode = look_up
    read_images.header_size = lambda content: (500, 375)


def peak() -> float:
    """MiB of this process at its largest."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def load(arguments: argparse.Namespace) -> None:
    """In a process of its own: prepare or open, a line of JSON at the end."""
    start, cpu = time.perf_counter(), time.process_time()
    without_decoder(arguments.size)
    source = Simulated(arguments.count)
    listed = peak()
    last = 0

    def progress(what: str, done: int, total: int) -> None:
        nonlocal last
        if done - last >= 4096 or done == total:
            last = done
            print(f"{what} {done}", flush=True)

    data = prepared(source, arguments.size, cache=arguments.cache, progress=progress)
    seconds, used = time.perf_counter() - start, time.process_time() - cpu
    found = {
        "seconds": seconds, "cpu": used, "peak": peak(), "list": listed, "reads": source.reads,
        "images": len(data.manifest), "type": type(data.images).__name__,
    }  # fmt: skip
    if arguments.train:
        manifest = data.manifest
        shape = DataSpec(
            fingerprint=manifest.fingerprint, classes=manifest.classes, image_size=arguments.size
        )
        found["seconds with a fingerprint"] = time.perf_counter() - start
        spec = RunSpec(arm="bn", block=0, norm="bn", batch_size=256, data=shape)
        batches = block_data(data, spec).train_batches(1)
        next(batches)
        begun = time.perf_counter()
        for _ in range(20):
            next(batches)
        found |= {"batches": 20 * 256 / (time.perf_counter() - begun), "peak of batches": peak()}
    print(json.dumps(found), flush=True)


def child(
    arguments: argparse.Namespace, *, kill_at: int | None = None, train: bool = False
) -> dict[str, Any]:
    """What another process found; {} where it was killed."""
    command = [
        sys.executable, __file__, str(arguments.count), "--cache", str(arguments.cache),
        "--size", str(arguments.size), "--child",
    ]  # fmt: skip
    process = subprocess.Popen(
        [*command, "--train"] if train else command, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    line = ""
    for line in process.stdout:
        if kill_at is not None and line.startswith("decoding ") and int(line.split()[1]) >= kill_at:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return {}
    process.wait()
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(line)
    return found


def compare(arguments: argparse.Namespace) -> tuple[int, int, int]:
    """Files, bytes, and images that are not their picture."""
    expected = pictures(arguments.size)
    (entry,) = (path.parent for path in arguments.cache.glob("images/*/checks.json"))
    files = sorted(entry.glob("*.u8"))
    wrong = place = size = 0
    for path in files:
        pixels = np.fromfile(path, np.uint8).reshape(-1, *expected.shape[1:])
        for first in range(0, len(pixels), 4096):
            block = pixels[first : first + 4096]
            numbers = (place + first + np.arange(len(block))) % PICTURES
            wrong += int((block != expected[numbers]).any((1, 2, 3)).sum())
        place, size = place + len(pixels), size + path.stat().st_size
    assert place == arguments.count
    return len(files), size, wrong


def main() -> None:
    """Prepare, kill, go on, compare, open, train."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("count", type=int, nargs="?", default=1_300_000)
    parser.add_argument("--cache", type=Path, required=True, help="a folder that is emptied")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        load(arguments)
        return
    shutil.rmtree(arguments.cache, ignore_errors=True)
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    start = time.perf_counter()
    child(arguments, kill_at=arguments.count // 2)
    killed = time.perf_counter() - start
    resumed = child(arguments)
    opened = child(arguments, train=True)
    files, size, wrong = compare(arguments)
    each = 1e6 * resumed["cpu"] / resumed["reads"]
    rows = [
        ("seconds until it was killed at a half", killed),
        ("seconds of the second process, to the end", resumed["seconds"]),
        ("files that it read", resumed["reads"]),
        ("microseconds of CPU an image there", each),
        ("peak MiB of preparing, with the mapped files", resumed["peak"]),
        ("MiB of the list of images", resumed["list"]),
        ("files of the cache", files),
        ("GiB of the cache", size / 2**30),
        ("images with a wrong byte (goal 0)", wrong),
        ("seconds to open again", opened["seconds"]),
        ("images a second, random batches of 256", opened["batches"]),
        ("peak MiB of that", opened["peak of batches"]),
    ]
    print(f"\n{arguments.count:,} images at {arguments.size} px; load {os.getloadavg()[0]:.1f}\n")
    for name, value in rows:
        print(f"| {name:<46} | {value if isinstance(value, (int, str)) else f'{value:,.1f}':>22} |")


if __name__ == "__main__":
    main()
