"""How costs grow with the work: exponents of time and memory, and a plot of each.

    python benchmarks/growth.py step [--plots build/growth]       batch, image size, n, channels
    python benchmarks/growth.py records --runs 10,100,1000,10000 [--plots build/growth]

A step is that of benchmarks/train_step.py (forward, loss, backward, SGD), one thing varied at a
time around batch 32 of 32 px, n = 2 and 16 channels in the first stage. What the prepared data cost
as they grow is measured by benchmarks/many_images.py. Records are finished runs of 10 epochs with
the predictions of 100 images; the study is planned, its status asked for, and its report built,
each in a process of its own, whose peak of memory is shown.

The exponent is the slope of log(cost) over log(work) through the larger half of the points: 1 is
linear. Small work costs what a call costs, so that the first points lie above the line.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import torch

from normlab.networks.resnet.resnet import ResNet, SmallStem
from normlab.norms.fused.cpu.memory import keep_freed_memory
from normlab.norms.spec import parse_norm
from records import make_plan, write_records
from timing import machine, markdown_table
from train_step import kept_for_backward, training_step

SERIES: dict[str, tuple[int, ...]] = {
    "batch": (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
    "image size, squared": (16, 24, 32, 48, 64, 96, 128, 192, 256),
    "blocks a stage, n": (1, 2, 3, 5, 7, 9),
    "channels, squared": (4, 8, 16, 32, 64),
}
NORMS = ("none", "bn", "bin", "rms")
PARTS = {
    "plan": "from normlab.study.design.runs import plan_runs\n"
    "from normlab.records.plan import read_plan\n"
    "plan_runs(read_plan(Path(sys.argv[1]) / 'study.toml'))",
    "status": "normlab('status')",
    "report": "normlab('report')",
}
FRAME = """
import contextlib, io, json, resource, sys, time
from pathlib import Path
def normlab(verb):
    from normlab.cli.main import main
    sys.argv[:] = ['normlab', verb, sys.argv[1]]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
start = time.perf_counter()
with contextlib.redirect_stdout(io.StringIO()):
{body}
try:  # of this program alone: what getrusage tells begins with its parent's size
    (line,) = [one for one in open("/proc/self/status") if one.startswith("VmHWM:")]
    peak = int(line.split()[1]) / 1024
except OSError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([time.perf_counter() - start, peak]))
"""


def exponent(work: Sequence[float], cost: Sequence[float]) -> float:
    """The slope of log(cost) over log(work), by least squares through the larger half."""
    points = [(math.log(w), math.log(c)) for w, c in zip(work, cost, strict=True)]
    points = points[len(points) // 2 - (len(points) < 4) :]
    middle = sum(x for x, _ in points) / len(points)
    over = sum((x - middle) * y for x, y in points)
    return over / sum((x - middle) ** 2 for x, _ in points)


def one_step(norm: str, series: str, level: int, rounds: int) -> tuple[float, float]:
    """Milliseconds of a step, and MiB kept for the backward."""
    batch, size, n, width = 32, 32, 2, 16
    if series == "batch":
        batch = level
    elif series.startswith("image"):
        size = level
    elif series.startswith("blocks"):
        n = level
    else:
        width = level
    spec = parse_norm(norm)
    model = ResNet(SmallStem(width, spec), width, (n, n, n), 25, spec, "A")
    model.to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, size, size).to(memory_format=torch.channels_last)
    step = training_step(model, images, torch.randint(25, (batch,)))
    step()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return median(times) * 1e3, kept_for_backward(model, images)


def steps(rounds: int) -> list[dict[str, Any]]:
    """Every series with every norm."""
    found = []
    for series, levels in SERIES.items():
        squared = series.endswith("squared")
        for level in levels:
            for norm in NORMS:
                taken, kept = one_step(norm, series, level, rounds)
                work = level**2 if squared else level
                common = {"series": series, "level": level, "work": work, "arm": norm}
                found.append(common | {"cost": taken, "unit": "ms a step"})
                found.append(common | {"cost": kept, "unit": "MiB kept"})
    return found


def records(counts: Sequence[int]) -> list[dict[str, Any]]:
    """Studies of so many runs: seconds and peak of what reads them."""
    found = []
    for runs in counts:
        arms = min(10, runs)
        settings = max(1, min(10, runs // 100))
        blocks = runs // (arms * settings)
        plan = make_plan(blocks=blocks, settings=settings, arms=arms, epochs=10)
        with tempfile.TemporaryDirectory() as folder, mock.patch("os.fsync"):
            write_records(Path(folder), plan, 10, images=100)
            for part, body in PARTS.items():
                seconds, peak = in_a_process(body, folder)
                common = {"series": "runs", "level": runs, "work": runs, "arm": part}
                found.append(common | {"cost": seconds, "unit": "s"})
                found.append(common | {"cost": peak, "unit": "MiB, peak"})
                print(f"{runs:,} runs: {part} {seconds:.2f} s, {peak:.0f} MiB", flush=True)
    return found


def in_a_process(body: str, folder: str) -> list[float]:
    """Seconds, and MiB at the peak; a command that fails ends it."""
    code = FRAME.format(body="\n".join(f"    {line}" for line in body.splitlines()))
    done = subprocess.run(
        [sys.executable, "-c", code, folder], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def tables(found: list[dict[str, Any]]) -> None:
    """Print a table a series and unit: costs by level, the exponent at the end."""
    for series in dict.fromkeys(row["series"] for row in found):
        for unit in dict.fromkeys(row["unit"] for row in found):
            rows: dict[str, list[dict[str, Any]]] = {}
            for row in found:
                if (row["series"], row["unit"]) == (series, unit):
                    rows.setdefault(row["arm"], []).append(row)
            levels = [f"{row['level']:,}" for row in next(iter(rows.values()))]
            lines = [
                [arm, *(f"{p['cost']:.3g}" for p in points),
                 f"{exponent([p['work'] for p in points], [p['cost'] for p in points]):.2f}"]
                for arm, points in rows.items()
            ]  # fmt: skip
            print(f"\n{unit}\n")
            print(markdown_table((series.removesuffix(", squared"), *levels, "exponent"), lines))


def draw(found: list[dict[str, Any]], path: Path) -> None:
    """One panel a series and unit, both axes logarithmic."""
    import altair as alt
    import pandas as pd

    frame = pd.DataFrame(found)
    panels = [
        alt.Chart(part, title=f"{unit}, over {series}")
        .mark_line(point=True)
        .encode(
            x=alt.X("work", title=series, scale=alt.Scale(type="log")),
            y=alt.Y("cost", title=unit, scale=alt.Scale(type="log")),
            color=alt.Color("arm", title=None, sort=None),
        )
        .properties(width=300, height=200)
        for (series, unit), part in frame.groupby(["series", "unit"], sort=False)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    alt.concat(*panels, columns=2).save(str(path), scale_factor=2)
    print(path)


def main() -> None:
    """Measure, print the tables, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["step", "records"])
    parser.add_argument("--runs", default="10,100,1000,10000")
    parser.add_argument("--rounds", type=int, default=5, help="timed steps of each")
    parser.add_argument("--plots", type=Path, help="a folder for the picture")
    options = parser.parse_args()
    print(machine().sentence())
    keep_freed_memory()  # as training does; else maps of several MiB are faulted in at every step
    measure: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "step": lambda: steps(options.rounds),
        "records": lambda: records([int(runs) for runs in options.runs.split(",")]),
    }
    found = measure[options.what]()
    tables(found)
    if options.plots:
        draw(found, options.plots / f"growth-{options.what}.png")


if __name__ == "__main__":
    main()
