"""What a cluster would be asked for, and the commands that ask for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from normlab.cli.screen.console import make_console, say, say_facts
from normlab.study.answers.needs import Needs, measure_needs
from normlab.study.job import study_data
from normlab.study.study import Study
from normlab.text import count, format_bytes, format_seconds


def tell_needs(folder: Path, device: str) -> None:
    """Measure what the study in this folder needs, and say it.

    Raises:
        UsageError: its data cannot be used, or not on this device.
    """
    console = make_console()
    study = Study.open(folder)
    missing = study.missing()
    if not missing:
        say_facts(console, "all", ["nothing left to do"])
        return
    settings = replace(study.job_settings(device=device), threads=1)
    with console.status("measuring a few training steps of every arm, and their memory"):
        dataset = study_data(folder, settings.source)
        now = len(study.next_runs(frozenset()))
        needs = measure_needs(study.folder, missing, now, dataset, settings)
    say_facts(console, "a run", list(_of_a_run(needs)))
    if needs.broken:
        known = "their memory is estimated, their time not known"
        say_facts(console, "broken", [f"the steps of {', '.join(needs.broken)} break here", known])
    at_once = f"{count(needs.at_once, 'run')} at once"
    of_all = f", of {needs.runs:,}" if needs.runs > needs.at_once else ""
    one_by_one = f"one after the other {format_seconds(needs.seconds)} on this machine"
    say_facts(console, "all", [f"{at_once} until the next look{of_all}", one_by_one])
    images = f"{format_bytes(needs.image_bytes)} of images on every node"
    left = f"{format_bytes(needs.run_bytes)} a run in the study's folder, thrice that as it runs"
    say_facts(console, "disk", [images, left])
    for word, line in _commands(needs):
        say(console, f"{word:<9}{line}")


def _of_a_run(needs: Needs) -> Iterator[str]:
    yield "1 CPU"
    yield f"{format_bytes(needs.memory)} of memory"
    if needs.device_memory:
        yield f"{format_bytes(needs.device_memory)} of a GPU's"
    yield f"up to {format_seconds(needs.longest)} on this machine"


def _commands(needs: Needs) -> Iterator[tuple[str, str]]:
    on_gpu = needs.device_memory > 0
    share = "gpus=auto" if on_gpu else "cpus=1"
    gres = "gres=gpu:1," if on_gpu else ""
    bundle = {"CPU": 1, **({"GPU": 1} if on_gpu else {}), "memory": needs.asked_memory}
    mebibytes = needs.asked_memory // 2**20
    yield "Ray", f"--executor ray:{share},tasks={needs.at_once}"
    yield "", f"an autoscaler: {needs.at_once} × {json.dumps(bundle)}"
    yield (
        "SLURM",
        f"--executor slurm:{gres}cpus=1,mem={mebibytes}M,time={needs.asked_minutes}m,"
        f"tasks={needs.at_once}",
    )
