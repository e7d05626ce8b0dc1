"""Stopping a run in an orderly way: between two batches, with everything finished on disk.

Nothing heavy is imported here, so that signals can be heard before the slow imports.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any, TypeVar

from normlab.errors import InterruptedRunError

Batch = TypeVar("Batch")
SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
)
"""Ctrl-C; what ends a process in order; what clusters send before the time of a job is over."""

OnBatch = Callable[[int], None]
"""Called after every batch with the number of its images; draws progress, or raises an
InterruptedRunError to stop the run there."""


def ignore_batch(images: int) -> None:
    """Do nothing after a batch."""


class StopRequest:
    """Set by the first of SIGNALS; a second one stops at once, as it would without us."""

    def __init__(self, on_ask: Callable[[], None] = lambda: None) -> None:
        """Begin with nobody having asked; `on_ask` is called at once when somebody does."""
        self.is_set = False
        self._on_ask = on_ask

    @contextlib.contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Listen to the signals inside the block and give them back after it."""
        previous: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}

        def ask(number: int, frame: FrameType | None) -> None:
            self.is_set = True
            for each, handler in previous.items():
                signal.signal(each, handler)
            self._on_ask()

        for number in SIGNALS:
            signal.signal(number, ask)
        try:
            yield self
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def check(self) -> None:
        """Raise an InterruptedRunError once somebody has asked to stop."""
        if self.is_set:
            raise InterruptedRunError("stopped between two batches")

    def between(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches, until somebody asks to stop: then InterruptedRunError."""
        for batch in batches:
            self.check()
            yield batch


def end_in_order() -> None:
    """From now on every one of SIGNALS ends this process as Ctrl-C does: by KeyboardInterrupt."""
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
