"""What a tracker costs the run that it follows: the same run with and without, one after the other.

python benchmarks/tracking.py --track tensorboard --track mlflow --rounds 5

A round is one `normlab train` of scikit-learn's digits without a tracker and one with each. Shown
are medians over the rounds of the ratio to the run without in the same round: of the seconds that
the run's epochs took, and of the whole command, which waits at its end until all has been sent.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def one_run(folder: Path, epochs: int, tracker: str | None) -> tuple[float, float]:
    """Seconds of the epochs, and of the command."""
    command = [sys.executable, "-m", "normlab", "train", "demo:digits", "--norm", "bn"]
    command += ["--epochs", str(epochs), "--image-size", "16", "--model", "cifar-resnet8"]
    command += ["--out", str(folder), *(["--track", tracker] if tracker else [])]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    (rows,) = folder.rglob("epochs.jsonl")
    return sum(json.loads(line)["seconds"] for line in rows.read_text().splitlines()), wall


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--track", action="append", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    given = parser.parse_args()
    candidates = [None, *given.track]
    epochs: dict[str | None, list[float]] = {name: [] for name in candidates}
    walls: dict[str | None, list[float]] = {name: [] for name in candidates}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.rounds):
            shift = number % len(candidates)
            for name in candidates[shift:] + candidates[:shift]:
                trained, wall = one_run(Path(folder) / f"{number}-{name}", given.epochs, name)
                epochs[name].append(trained)
                walls[name].append(wall)
    print(f"{given.rounds} rounds of {given.epochs} epochs, load {os.getloadavg()[0]:.1f}; a run "
          f"without: {statistics.median(epochs[None]):.1f} s in epochs, "
          f"{statistics.median(walls[None]):.1f} s in all")  # fmt: skip
    for name in given.track:
        ratios = [
            statistics.median(a / b for a, b in zip(kind[name], kind[None], strict=True))
            for kind in (epochs, walls)
        ]
        print(f"{name:12} epochs {ratios[0]:.3f} ×   command {ratios[1]:.3f} ×")


if __name__ == "__main__":
    main()
