"""How long it takes, and how much memory, to plan, read, judge and table large studies.

    python benchmarks/records.py [--runs 1000] [--epochs 100]

Goals: 1,000 runs × 100 epochs read, judged and tabled in 5 s and 500 MB; 10,000 planned in 2 s;
the orchestration of a run below 1 s. The records are made up, and written through the real store.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np

from normlab.records.environment import describe_environment
from normlab.records.plan import StudyPlan, parse_plan, write_plan
from normlab.records.run import EpochRow, Measures, Outcome
from normlab.records.store import Predictions, RunFolder
from normlab.study.design.freeze import freeze
from normlab.study.design.runs import plan_runs

READER = """
import resource, sys, time
from pathlib import Path
start = time.perf_counter()
from normlab.stats.summary.analysis import analyse
from normlab.stats.data.curves import curves
from normlab.stats.data.reading import read_study
from normlab.report.sections.tables.data import study_tables
imported, used = time.perf_counter(), time.process_time()
study = read_study(Path(sys.argv[1]))
read = time.perf_counter()
analysis = analyse(study.plan, study.runs)
judged = time.perf_counter()
tables = study_tables(analysis)
frame = curves(study.plan, study.runs)
tabled = time.perf_counter()
used = time.process_time() - used
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"import {imported - start:.2f} s, read {read - imported:.2f} s, "
      f"judge {judged - read:.2f} s, tables and curves {tabled - judged:.2f} s "
      f"({len(frame):,} rows); together {tabled - imported:.2f} s, {used:.2f} s of a core "
      f"(goal 5), "
      f"{peak:.0f} MiB (goal 500)")
"""


def make_plan(blocks: int, settings: int, arms: int, epochs: int = 30) -> StudyPlan:
    """A frozen plan of blocks × settings × arms runs."""
    norms = [f"gn:groups={2**k}" for k in range(4)] + ["bn", "in", "bin", "ln", "none", "torch-bn"]
    rates = [float(f"{10 ** (-k / 10):.4g}") for k in range(settings)]
    plan = parse_plan(
        {
            "name": "large",
            "blocks": blocks,
            "data": {"source": "nowhere", "image_size": 32},
            "factors": {"norm": norms[-arms:], "learning_rate": rates},
            "training": {"epochs": epochs},
            "analysis": {"method": 2, "margin": 0.01},
        }
    )
    return freeze(plan, "f" * 64, tuple(f"class {k}" for k in range(10)))


def write_records(folder: Path, plan: StudyPlan, epochs: int, images: int = 1000) -> int:
    """A finished run for every planned one; returns their number."""
    folder.mkdir(parents=True, exist_ok=True)
    write_plan(plan, folder / "study.toml")
    random = np.random.default_rng(0)
    environment = describe_environment("cpu", 2, deterministic=False, compiled=False)
    runs = plan_runs(plan)
    ids = np.array([f"photo-{k:04}.jpg" for k in range(images)])
    labels = random.integers(0, 10, images)
    for spec in runs:
        level = 0.8 + 0.02 * (hash(spec.arm) % 5) / 5 + random.normal(0, 0.005)
        run = RunFolder(folder / "runs" / spec.folder_name)
        run.create(spec, environment)
        values = level - 0.5 * np.exp(-np.arange(epochs) / 15) + random.normal(0, 0.01, epochs)
        for epoch, value in enumerate(values, start=1):
            found = measures(value)
            run.append_row(
                EpochRow(epoch=epoch, learning_rate=0.1, train=found, validation=found,
                         seconds=1.0, images_per_second=1000.0)
            )  # fmt: skip
        probabilities = random.dirichlet(np.ones(10), images).astype(np.float32)
        run.write_predictions(Predictions(ids, labels, probabilities))
        end = measures(level)
        run.write_outcome(
            Outcome(status="finished", epochs=epochs, reported_epoch=epochs, train=end,
                    validation=end, test=end, seconds=float(epochs))
        )  # fmt: skip
    return len(runs)


def measures(accuracy: float) -> Measures:
    """Plausible figures of 1,000 images."""
    share = round(accuracy * 1000) / 1000
    return Measures(loss=1 - share, accuracy=share, micro_f1=share, macro_f1=share, images=1000)


def main() -> None:
    """Print three lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=100)
    args = parser.parse_args()
    plan = make_plan(blocks=100, settings=10, arms=10)
    start = time.perf_counter()
    runs = plan_runs(plan)
    planned = time.perf_counter() - start
    print(f"planning {len(runs):,} runs: {planned:.2f} s (goal 2)")
    plan = make_plan(blocks=10, settings=max(1, args.runs // 100), arms=10, epochs=args.epochs)
    with tempfile.TemporaryDirectory() as folder, mock.patch("os.fsync"):
        number = write_records(Path(folder), plan, args.epochs)
        print(f"{number:,} runs × {args.epochs} epochs, with predictions of 1,000 images:")
        subprocess.run([sys.executable, "-c", READER, folder], check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"(peak of the reading process by the system: {peak:.0f} MiB)")


if __name__ == "__main__":
    main()
