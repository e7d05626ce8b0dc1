"""Pictures of several requests in one forward pass."""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import Future

import numpy as np
from jaxtyping import Float, UInt8

from normlab.serving.predictor import Predictor

LARGEST = 32
"""Pictures in a batch at most."""
PATIENCE = 0.002
"""Seconds that the first picture of a batch waits for others."""

Asked = tuple[np.ndarray, "Future[np.ndarray]"]


class Batcher:
    """One thread that asks a network; it takes what has come in meanwhile as the next batch."""

    def __init__(self, predictor: Predictor) -> None:
        """Start the thread; `close` ends it."""
        self._predictor = predictor
        self._asked: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self.lock = threading.Lock()
        """Held by whoever uses the network."""
        self.batches = 0
        self.pictures = 0
        self._thread = threading.Thread(target=self._run, daemon=True, name="normlab-batches")
        self._thread.start()

    def ask(self, pixels: UInt8[np.ndarray, "s s 3"]) -> Future[Float[np.ndarray, " classes"]]:
        """The probabilities of a picture of the run's size, when they are known."""
        answer: Future[np.ndarray] = Future()
        self._asked.put((pixels, answer))
        return answer

    def close(self) -> None:
        """End the thread after what was asked before."""
        self._asked.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            try:
                with self.lock:
                    pictures = iter([pixels for pixels, _ in batch])
                    found = list(self._predictor.probabilities(pictures))
            except Exception as error:  # every one of them is told
                for _, answer in batch:
                    answer.set_exception(error)
                continue
            self.batches += 1
            self.pictures += len(batch)
            for (_, answer), probabilities in zip(batch, found, strict=True):
                answer.set_result(probabilities)

    def _next(self) -> list[Asked] | None:
        first = self._asked.get()
        if first is None:
            return None
        batch, until = [first], time.monotonic() + PATIENCE
        while len(batch) < LARGEST:
            try:
                more = self._asked.get(timeout=max(until - time.monotonic(), 0.0))
            except queue.Empty:
                break
            if more is None:
                self._asked.put(None)
                break
            batch.append(more)
        return batch
