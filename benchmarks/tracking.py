"""What a tracker costs the run that it follows: the same run with and without, one after the other.

python benchmarks/tracking.py --track tensorboard --track mlflow --rounds 5

A round is one `normlab train` of scikit-learn's digits without a tracker and one with each. Shown
are medians over the rounds of the ratio to the run without in the same round: of the seconds that
the run's epochs took, of the processor's time of the whole command, with all its threads and the
processes that it starts, and of its seconds by the clock: it waits at its end until all is sent.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple


class Seconds(NamedTuple):
    """Of a run."""

    epochs: float
    processor: float
    wall: float


def one_run(folder: Path, epochs: int, tracker: str | None) -> Seconds:
    """Make one."""
    command = [sys.executable, "-m", "normlab", "train", "demo:digits", "--norm", "bn"]
    command += ["--epochs", str(epochs), "--image-size", "16", "--model", "cifar-resnet8"]
    command += ["--out", str(folder), *(["--track", tracker] if tracker else [])]
    before, start = used(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall, processor = time.perf_counter() - start, used() - before
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    (rows,) = folder.rglob("epochs.jsonl")
    trained = sum(json.loads(line)["seconds"] for line in rows.read_text().splitlines())
    return Seconds(trained, processor, wall)


def used() -> float:
    """Seconds of the processor that ended children have used."""
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return now.ru_utime + now.ru_stime


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--track", action="append", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    given = parser.parse_args()
    candidates = [None, *given.track]
    runs: dict[str | None, list[Seconds]] = {name: [] for name in candidates}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.rounds):
            shift = number % len(candidates)
            for name in candidates[shift:] + candidates[:shift]:
                runs[name].append(one_run(Path(folder) / f"{number}-{name}", given.epochs, name))
    alone = runs[None]
    shown = " / ".join(f"{statistics.median(seconds):.1f}" for seconds in columns(alone))
    print(f"{given.rounds} rounds of {given.epochs} epochs, load {os.getloadavg()[0]:.1f}; a run "
          f"without, epochs / processor / clock: {shown} s")  # fmt: skip
    for name in given.track:
        pairs = zip(columns(runs[name]), columns(alone), strict=True)
        ratios = [statistics.median(a / b for a, b in zip(*pair, strict=True)) for pair in pairs]
        print(f"{name:<14}{' / '.join(f'{ratio:.3f}' for ratio in ratios)} times")


def columns(runs: list[Seconds]) -> list[tuple[float, ...]]:
    """Each kind of seconds, of all the runs."""
    return list(zip(*runs, strict=True))


if __name__ == "__main__":
    main()
