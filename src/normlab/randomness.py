"""Named streams of random numbers: every draw of a study comes from one of them.

A stream is identified by the study's seed, the block, a name and an epoch. Two arms of a block
that ask for the same stream get the same numbers, whatever else they do, and no global generator
is ever read or written. The names in use:

    "test"        the cut of the test part (epoch 0, block 0: the same in every block)
    "split"       the cut of the validation part of a block
    "init"        the initial weights
    "order"       the order of the images in an epoch
    "augment"     the draws of the augmentation in an epoch
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import torch

Stream = Literal["test", "split", "init", "order", "augment", "explain", "tuning", "check"]

_HASHED_AS = {"test": "evaluation"}
"""A stream keeps the numbers that it had under its first name."""


def stream_seed(seed: int, block: int, name: Stream, epoch: int = 0) -> int:
    """A 63-bit seed, the first bits of SHA-256 over the four parts of the stream's identity.

    Hashing makes the streams independent of each other: adjacent blocks or epochs have nothing in
    common. torch's generator on the CPU takes the low 32 bits alone, so that among 10,000 of its
    streams two are equal with a probability of about 1 %, in places that have nothing to do with
    each other.
    """
    hashed = _HASHED_AS.get(name, name)
    digest = hashlib.sha256(f"normlab/{seed}/{block}/{hashed}/{epoch}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def numpy_stream(seed: int, block: int, name: Stream, epoch: int = 0) -> np.random.Generator:
    """The stream as a NumPy generator (PCG64)."""
    return np.random.default_rng(stream_seed(seed, block, name, epoch))


def torch_stream(seed: int, block: int, name: Stream, epoch: int = 0) -> torch.Generator:
    """The stream as a torch generator on the CPU, so that all devices see the same numbers."""
    import torch  # here, so that planning and the command's help stay quick

    return torch.Generator().manual_seed(stream_seed(seed, block, name, epoch))
