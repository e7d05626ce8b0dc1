"""Reading in one pass: every file is read once, hashed, decoded, scaled and summed.

Tasks of sixteen images, because handing each to a thread by itself takes a tenth of its decoding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from normlab.data.decode import decode, header_size
from normlab.data.layout import Item
from normlab.data.scan import UNREADABLE
from normlab.data.sources.base import Source
from normlab.errors import DataError

SMALL = 64 * 64
"""Pixels of an image up to which one thread decodes faster than two, which wait for each other."""
TASK = 16
"""Images of a task."""
FACTS = ("widths", "heights", "reasons", "hashes", "pixel_sums", "pixel_squares")
"""What is noted of each image; the reason is "" where it could be decoded."""

Facts = dict[str, np.ndarray]
Pixels = UInt8[np.ndarray, "images s s 3"]


@dataclass(frozen=True)
class Reader:
    """Reads items of a source into arrays, by a pool of threads or, without one, by this one."""

    source: Source
    resize: str
    pool: ThreadPoolExecutor | None

    def begin(self, items: Sequence[Item], out: Pixels) -> list[Future[Facts]]:
        """Start reading into `out`; `facts_of` waits for the end."""
        tasks: list[Future[Facts]] = []
        out = out.view(np.ndarray)  # parts of a memmap are made ten times as slowly
        for first in range(0, len(items), TASK):
            part = items[first : first + TASK], out[first : first + TASK]
            if self.pool is None:
                tasks.append(Future())
                tasks[-1].set_result(self._read(*part))
            else:
                tasks.append(self.pool.submit(self._read, *part))
        return tasks

    def _read(self, items: Sequence[Item], out: Pixels) -> Facts:
        found = [self._read_one(item.name, out[place]) for place, item in enumerate(items)]
        widths, heights, reasons, hashes = zip(*found, strict=True)
        sums, squares = sums_of(out)
        return {
            "widths": np.array(widths),
            "heights": np.array(heights),
            "reasons": np.array(reasons, dtype=np.str_),
            "hashes": np.array(hashes, dtype=np.bytes_),  # a quarter of what str takes
            "pixel_sums": sums,
            "pixel_squares": squares,
        }

    def _read_one(self, name: str, out: UInt8[np.ndarray, "s s 3"]) -> tuple[int, int, str, str]:
        """Width, height, the reason where it failed, and the SHA-256 of its bytes."""
        digest = UNREADABLE
        try:
            content = self.source.read(name)
            digest = hashlib.sha256(content).hexdigest()
            out[:], width, height = decode(content, out.shape[0], self.resize)
        except DataError as error:
            return 0, 0, str(error), digest
        except OSError as error:
            return 0, 0, error.strerror or str(error) or type(error).__name__, digest
        return width, height, "", digest


def facts_of(tasks: Sequence[Future[Facts]]) -> Facts:
    """What the tasks found, in the order of their images."""
    found = [task.result() for task in tasks]
    return {name: np.concatenate([facts[name] for facts in found]) for name in FACTS}


def reads_best_alone(source: Source) -> bool:
    """Whether the first image is so small that a second thread would be in the way."""
    try:
        width, height = header_size(source.read(source.items()[0].name))
    except (DataError, OSError):
        return False
    return width * height <= SMALL


def sums_of(images: Pixels) -> tuple[np.ndarray, np.ndarray]:
    """Σ of the bytes of each image and channel, and of their squares, as (images, 3) integers.

    Column by column, where neighbours in memory are summed at once; a column of 1,024 squares fits
    into 32 bits.
    """
    count, height, width, _ = images.shape
    rows = images.reshape(count, height, 3 * width).astype(np.uint32)
    sums = rows.sum(1, dtype=np.uint32)
    rows *= rows
    squares = rows.sum(1, dtype=np.uint32)
    by_channel = (count, width, 3)
    return (
        sums.reshape(by_channel).sum(1, dtype=np.int64),
        squares.reshape(by_channel).sum(1, dtype=np.int64),
    )
