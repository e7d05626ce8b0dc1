"""Too little memory, and files that may not be as large as they should: a sentence or an outcome.

The command runs with a drawn limit, and then again with none; what it leaves must be what an
undisturbed one leaves.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .children import Ended, temporary_folder
from .kills import SCENES, Scene, Undisturbed, begin, differences, is_leftover, prepare, snapshot
from .photos import write_study
from .tally import Tally

LIMITED = ("inline, shared rate", "check", "report", "stress", "predict")
"""The scenes that are tried."""
MEMORY = (2.0**20, 2.0**30)
FILE_SIZE = (10.0, 3e5)
"""Least and most of what is drawn, in bytes, by its logarithm."""


def torture(number: int, seed: int, say: Callable[[str], None]) -> list[Tally]:
    """So many limits, of memory and of files in turns."""
    scenes = [scene for scene in SCENES if scene.name in LIMITED]
    tallies = {name: Tally(f"limits: {name}", seed) for name in ("memory", "file size")}
    with temporary_folder() as template:
        write_study(template)
        known: dict[str, Undisturbed] = {}
        for turn in range(number):
            random = np.random.default_rng([seed, turn])
            scene = scenes[turn // 2 % len(scenes)]
            if scene.name not in known:
                known[scene.name] = Undisturbed(scene, template)
            name = ("memory", "file size")[turn % 2]
            low, high = MEMORY if name == "memory" else FILE_SIZE
            amount = int(np.exp(random.uniform(np.log(low), np.log(high))))
            fault = try_limit(scene, known[scene.name], template, name, amount)
            tallies[name].count(fault, scene.name)
            say(f"limits: {turn + 1} of {number}")
    return list(tallies.values())


def try_limit(
    scene: Scene, undisturbed: Undisturbed, template: Path, name: str, amount: int
) -> str | None:
    """The command with a limit, then without, and the comparison."""
    with temporary_folder() as root:
        prepare(root, scene, template)
        limit = {"memory" if name == "memory" else "file_size": amount}
        ended = begin(scene, root, **limit)
        faults = answer_faults(ended)
        ended = begin(scene, root)
        if ended.code != 0:
            faults.append(f"without the limit exit {ended.code}: {ended.err[-300:]!r}")
        else:
            faults += differences(snapshot(root, scene), undisturbed.files)
        faults += [f"left behind: {p.relative_to(root)}" for p in root.rglob("*") if is_leftover(p)]
    return f"{scene.name}, {amount:,} bytes: {'; '.join(faults)}" if faults else None


def answer_faults(ended: Ended) -> list[str]:
    """What is wrong with how a command took its limit: it may succeed, or say one sentence."""
    if ended.code not in (0, 1, 2, 3):
        return [f"exit {ended.code}: {ended.err[-300:]!r}"]
    if "Traceback" in ended.err + ended.out:
        return [f"traceback: {ended.err.strip().splitlines()[-1][:200]}"]
    if ended.code == 2 and not re.search(r"^normlab: [^\n]+$", ended.err, re.MULTILINE):
        return [f"no sentence: {ended.err[-300:]!r}"]
    return []
