"""The bench of torture, with a seed.

    python -m tests.torture                                  # the long form: hours
    python -m tests.torture --short                          # a minute
    python -m tests.torture --kind damages --number 2000 --seed 0

kills       SIGKILL at a drawn moment of every verb that writes; then the same command again
damages     of every kind of record and cache: bits, cuts, gaps, edits, swaps
inputs      bad values of every option, and bad files for every verb that reads one
injections  names that ring, clear, turn or calculate, on the terminal and in all that is written
limits      address space (RLIMIT_AS) and files (RLIMIT_FSIZE) that are too small
writers     processes that were presumed dead and wake up; a second command during the first

It prints a row a kind: tried, passed, failed, the seed, seconds, and what was hit; then the
failures. The exit code is 1 where something failed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, and for every child
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
if not sys.platform.startswith("linux"):
    sys.exit("the bench of torture needs Linux: forks, /proc, and pipes of a chosen size")

from . import bad_input, damages, injections, kills, limits, lost_writers
from .children import warm
from .tally import Tally, failures, table

KINDS: dict[str, tuple[Callable[..., list[Tally]], int, int]] = {
    "kills": (kills.torture, 300, 4),
    "inputs": (bad_input.torture, 1000, 60),
    "injections": (injections.torture, 60, 60),
    "limits": (limits.torture, 60, 2),
    "writers": (lost_writers.torture, 5, 1),
    "damages": (damages.torture, 2000, 54),  # the last: it works in this process, not in forks
}
"""What is called with a number and a seed, and the number in the long form and in the short one."""
SHOW_EVERY = 30.0
"""Seconds between two words on how far it is."""


def main() -> int:
    """Torture, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--kind", choices=KINDS, action="append", help="may be repeated; else all")
    parser.add_argument("--number", type=int, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="a minute instead of hours")
    options = parser.parse_args()
    warm()
    tallies: list[Tally] = []
    for kind in options.kind or KINDS:
        run, long, short = KINDS[kind]
        tallies += run(options.number or (short if options.short else long), options.seed, _say())
    sys.stdout.write("\n".join([table(tallies), *failures(tallies)]) + "\n")
    return 1 if any(tally.failures for tally in tallies) else 0


def _say() -> Callable[[str], None]:
    last = time.monotonic()

    def say(text: str) -> None:
        nonlocal last
        if time.monotonic() - last > SHOW_EVERY:
            last = time.monotonic()
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    return say


if __name__ == "__main__":
    sys.exit(main())
