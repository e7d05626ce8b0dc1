"""The largest values that a plan or a run may have: what is beyond is a slip of the keyboard.

They bound what a value can cost before anything is allocated or waited for, and are far above what
anybody trains.
"""

from __future__ import annotations

from typing import Literal

from normlab.errors import UsageError

MAX_BLOCKS = 1_000
MAX_EPOCHS = 100_000
MAX_BATCH_SIZE = 65_536
MAX_RANKS = 4_096
MAX_RATE = 1e30
"""Of learning rates and their multipliers: what float32 still holds; a large one just diverges."""
MAX_WEIGHT_DECAY = 1_000.0
MAX_LAYERS = 6_002
"""Of a residual network of 6n+2 layers: n = 1,000."""
MAX_RUNS = 1_000_000
"""Of a study: blocks times cells."""


NormBatch = Literal["local", "synchronized"]
"""Of several ranks, a batch norm's batch: each rank's own part, or that of all of them."""


def check_ranks(ranks: int, norm_batch: NormBatch | None, batch_size: int) -> None:
    """Raise a UsageError where so many ranks cannot share batches of this size."""
    if batch_size % ranks:
        raise UsageError(
            f"{ranks} ranks do not divide a batch of {batch_size} images; choose a batch size that "
            f"is a multiple of {ranks}, or another number of --ranks"
        )
    if ranks > 1 and norm_batch is None:
        raise UsageError(
            f"with {ranks} ranks say what a batch norm takes its statistics over: --norm-batch "
            "synchronized (the whole batch, as in one process) or local (each rank's own part)"
        )
