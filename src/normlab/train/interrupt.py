"""Stopping a run in an orderly way: between two batches, with everything finished on disk."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import TypeVar

from normlab.errors import InterruptedRunError

Batch = TypeVar("Batch")


class StopRequest:
    """Set by the first SIGINT or SIGTERM; a second one stops at once, as it would without us."""

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self.is_set = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Listen to the signals inside the block and give them back after it."""
        signals = (signal.SIGINT, signal.SIGTERM)
        previous = {number: signal.getsignal(number) for number in signals}

        def ask(number: int, frame: FrameType | None) -> None:
            self.is_set = True
            for each, handler in previous.items():
                signal.signal(each, handler)

        for number in signals:
            signal.signal(number, ask)
        try:
            yield self
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def between(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches, until somebody asks to stop: then InterruptedRunError."""
        for batch in batches:
            if self.is_set:
                raise InterruptedRunError("stopped between two batches")
            yield batch
