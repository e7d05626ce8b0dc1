"""Prepared images on their way to a GPU: resident there where they fit, else read ahead.

A network of 0.2 million parameters is done with a batch before the next could be copied, so the
whole data set lies on the device as bytes, as it lies in the cache, and batches are gathered and
augmented there. Where it does not fit, a thread reads the next batches into pinned memory and
copies them while the device works.
"""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from normlab.data.dataset import Dataset

MEMORY_SHARE = 0.5
"""The share of the device's free memory that images may take."""
AHEAD = 3
"""Batches that wait for the device."""
Batch = TypeVar("Batch")
_resident: weakref.WeakKeyDictionary[Dataset, dict[torch.device, Tensor | None]] = (
    weakref.WeakKeyDictionary()
)


def resident_images(dataset: Dataset, device: torch.device) -> UInt8[Tensor, "n s s 3"] | None:
    """All images of the data set on the device; None on the CPU, and where they do not fit.

    Kept as long as the data set, so that the runs of a study share them.
    """
    if device.type != "cuda":
        return None
    uploaded = _resident.setdefault(dataset, {})
    if device not in uploaded:
        free, _ = torch.cuda.mem_get_info(device)
        uploaded[device] = None
        if dataset.images.nbytes <= MEMORY_SHARE * free:
            # Another process may have taken the memory since.
            with suppress(torch.OutOfMemoryError):
                uploaded[device] = upload(dataset.images, device)
    return uploaded[device]


def upload(
    images: UInt8[np.ndarray, "n s s 3"], device: torch.device, at_once: int = 4096
) -> UInt8[Tensor, "n s s 3"]:
    """The images on the device, copied in parts: they may be a file larger than memory."""
    resident = torch.empty(images.shape, dtype=torch.uint8, device=device)
    for first in range(0, len(images), at_once):
        part = torch.from_numpy(np.array(images[first : first + at_once]))
        resident[first : first + at_once].copy_(part)
    return resident


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on the device; nothing waits for the copy, or for the steps before it."""
    pinned = tensor.pin_memory() if device.type == "cuda" else tensor
    return pinned.to(device, non_blocking=True)


def read_ahead(batches: Iterable[Batch], ahead: int = AHEAD) -> Iterator[Batch]:
    """The same batches, made by a thread that is some of them ahead.

    What goes wrong there is raised here; a consumer that stops early stops the thread.
    """
    line: queue.Queue[Batch | BaseException | None] = queue.Queue(ahead)
    stopped = threading.Event()

    def put(item: Batch | BaseException | None) -> bool:
        while not stopped.is_set():
            try:
                line.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for batch in batches:
                if not put(batch):
                    return
        except BaseException as error:
            put(error)
        else:
            put(None)

    thread = threading.Thread(target=make, name="normlab-read-ahead", daemon=True)
    thread.start()
    try:
        while (item := line.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()
