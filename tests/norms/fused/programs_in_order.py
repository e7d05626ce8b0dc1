"""Prints where the programs of a sweep begin in memory, in the order in which they start.

Run by test_triton.py with TRITON_INTERPRET=1.
"""

import json

import torch
import triton
import triton.language as tl

from normlab.norms.fused.triton.sweeps import tile_position

SAMPLES, CHANNELS, PIXELS, BLOCK_C, BLOCK_P = 3, 5, 7, 2, 4


@triton.jit
def note(
    found, channels, pixels, s_n, s_c, s_p,
    BY_CHANNEL: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr, REVERSED: tl.constexpr,
):  # fmt: skip
    n, c, part = tile_position(channels, tl.cdiv(pixels, BLOCK_P), BY_CHANNEL, BLOCK_C, REVERSED)
    tl.store(found + tl.program_id(0), n * s_n + c * s_c + part * BLOCK_P * s_p)


def main() -> None:
    """[[by channel, backwards, [places]], …]."""
    programs = SAMPLES * triton.cdiv(CHANNELS, BLOCK_C) * triton.cdiv(PIXELS, BLOCK_P)
    lines = []
    for by_channel in (False, True):
        strides = (CHANNELS * PIXELS, *((1, CHANNELS) if by_channel else (PIXELS, 1)))
        for backwards in (False, True):
            found = torch.full((programs,), -1, dtype=torch.int64)
            note[(programs,)](
                found, CHANNELS, PIXELS, *strides,
                BY_CHANNEL=by_channel, BLOCK_C=BLOCK_C, BLOCK_P=BLOCK_P, REVERSED=backwards,
            )  # fmt: skip
            lines.append([by_channel, backwards, found.tolist()])
    print(json.dumps(lines))  # noqa: T201


if __name__ == "__main__":
    main()
