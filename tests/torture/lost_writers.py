"""Writers that were presumed dead and wake up, and a second command during the first.

Asleep: the processes of a study sleep (SIGSTOP), the command that started them dies (SIGKILL), the
same command makes the study, and then they wake up (SIGCONT). Nothing that they write may be seen.
Beside: `normlab run STUDY --blocks 1` while a comparison of two blocks runs changes nothing.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .children import Child, descendants, is_alive, kill, run, start, temporary_folder
from .kills import LIMIT, Scene, environment, raw_records, snapshot
from .photos import TINY, write_photos
from .tally import Tally

LEASE_SECONDS = "4"
"""After so many seconds without a beat a lease is nobody's; 30 where people work."""
OPTIONS = ("--epochs", "80", "--blocks", "2")
SCENE = Scene("two blocks", ("compare", "photos", *TINY, *OPTIONS, "--out", "S"), "S")
PARTS = ("study.toml", "data.json", "runs/")


def torture(number: int, seed: int, say: Callable[[str], None]) -> list[Tally]:
    """So many times each, with every kind of process that makes runs."""
    import normlab.records.lease

    os.environ["NORMLAB_LEASE_SECONDS"] = LEASE_SECONDS  # for the processes
    normlab.records.lease.LEASE_SECONDS = float(LEASE_SECONDS)  # for the forks of this one
    scenes = {
        "asleep, processes": workers_wake_up,
        "asleep, inline": command_wakes_up,
        "asleep, a job of a cluster": job_wakes_up,
        "beside, run --blocks 1": fewer_blocks_meanwhile,
    }
    tallies = []
    with temporary_folder() as template:
        write_photos(template / "photos")
        environment_of = environment(template)
        undisturbed = run(SCENE.command, template, within=LIMIT, environment=environment_of)
        if undisturbed.code != 0:
            raise RuntimeError(undisturbed.err)
        expected = records(template)
        for kind, scenario in scenes.items():
            tally = Tally(f"writers: {kind}", seed)
            for turn in range(number):
                random = np.random.default_rng([seed, turn])
                with temporary_folder() as root:
                    shutil.copytree(template / "photos", root / "photos")
                    tally.count(scenario(root, expected, random))
                say(f"{tally.kind}: {turn + 1} of {number}")
            tallies.append(tally)
    return tallies


def records(root: Path) -> dict[str, bytes]:
    """What must be the same as where nothing disturbs."""
    return {k: v for k, v in snapshot(root, SCENE).items() if k.startswith(PARTS)}


def begin(root: Path, *options: str) -> Child:
    """The comparison, begun."""
    return start((*SCENE.command, *options), root, environment=environment(root))


def wait_for_rows(root: Path, child: Child, number: int) -> bool:
    """Until so many epochs are stored; False where the command has ended before."""
    until = time.monotonic() + LIMIT
    while time.monotonic() < until and is_alive(child.pid):
        rows = sum(p.read_bytes().count(b"\n") for p in (root / "S").glob("runs/*/epochs.jsonl"))
        if rows >= number:
            return True
        time.sleep(0.01)
    return False


def finish(root: Path) -> str | None:
    """The same command to its end."""
    ended = run(SCENE.command, root, within=LIMIT, environment=environment(root))
    return None if ended.code == 0 else f"then exit {ended.code}: {ended.err[-300:]!r}"


def unchanged_when_they_wake(
    root: Path, sleepers: list[int], expected: dict[str, bytes]
) -> str | None:
    """The records before and after SIGCONT, and against those of an undisturbed study."""
    if records(root) != expected:
        return "the study that was finished meanwhile differs"
    before = raw_records(root)
    for pid in sleepers:
        kill(pid, signal.SIGCONT)
    until = time.monotonic() + 30
    while any(map(is_alive, sleepers)) and time.monotonic() < until:
        time.sleep(0.02)
    if any(map(is_alive, sleepers)):
        return "a sleeper did not end within 30 s of waking up"
    if raw_records(root) != before:
        changed = [name for name, text in raw_records(root).items() if before.get(name) != text]
        return f"the sleepers changed {', '.join(changed) or 'files'}"
    ended = run(("verify", "S"), root, within=LIMIT, environment=environment(root))
    return None if ended.code == 0 else f"verify: {ended.out[-300:]!r}"


def workers_wake_up(root: Path, expected: dict[str, bytes], random: np.random.Generator):
    """SIGSTOP to the workers, SIGKILL to the command, the study to its end, SIGCONT."""
    child = begin(root, "--jobs", "2")
    if not wait_for_rows(root, child, int(random.integers(1, 20))):
        return f"it ended before: {child.end(within=1).err[-300:]!r}"
    sleepers = descendants(child.pid)
    for pid in sleepers:
        kill(pid, signal.SIGSTOP)
    kill(child.pid)
    child.end(within=10)
    fault = finish(root)
    if fault is None:
        return unchanged_when_they_wake(root, sleepers, expected)
    for pid in sleepers:
        kill(pid)
    return fault


def command_wakes_up(root: Path, expected: dict[str, bytes], random: np.random.Generator):
    """The command itself sleeps: the same one is refused, and the first goes on afterwards."""
    child = begin(root)
    if not wait_for_rows(root, child, int(random.integers(1, 20))):
        return f"it ended before: {child.end(within=1).err[-300:]!r}"
    kill(child.pid, signal.SIGSTOP)
    second = run(SCENE.command, root, within=LIMIT, environment=environment(root))
    kill(child.pid, signal.SIGCONT)
    ended = child.end(within=LIMIT)
    if second.code != 2 or "another process is running" not in second.err:
        return f"the second command: exit {second.code}: {second.err[-300:]!r}"
    if ended.code != 0:
        return f"the first command: exit {ended.code}: {ended.err[-300:]!r}"
    return unchanged_when_they_wake(root, [], expected)


def job_wakes_up(root: Path, expected: dict[str, bytes], random: np.random.Generator):
    """What Ray and SLURM start, asleep with a run in hand while the study is made by others."""
    command = ("plan", *SCENE.command[1:])
    planned = run(command, root, within=LIMIT, environment=environment(root))
    if planned.code != 0:
        return f"plan: exit {planned.code}: {planned.err[-300:]!r}"
    job = start((), root, environment=environment(root), entry=lambda: _make_first_run(root))
    if not wait_for_rows(root, job, int(random.integers(1, 20))):
        return f"the job ended before: {job.end(within=1).err[-300:]!r}"
    kill(job.pid, signal.SIGSTOP)
    fault = finish(root)
    if fault is not None:
        kill(job.pid)
        return fault
    before = raw_records(root)
    kill(job.pid, signal.SIGCONT)
    ended = job.end(within=60)
    if ended.code not in (0, 3):
        return f"the job: exit {ended.code}: {ended.err[-300:]!r}"
    if raw_records(root) != before:
        return "the job changed the records"
    return unchanged_when_they_wake(root, [], expected)


def _make_first_run(root: Path) -> int:
    """As `python -m normlab.study.job JOB.json`."""
    from normlab.study import job
    from normlab.study.study import Study

    study = Study.open(root / "S")
    content = job.make_job(study.folder, study.missing()[0], study.job_settings())
    (root / "job.json").write_text(content.to_json())
    sys.argv = ["job", str(root / "job.json")]
    return job.main()


def fewer_blocks_meanwhile(root: Path, expected: dict[str, bytes], random: np.random.Generator):
    """`normlab run S --blocks 1` is refused and changes no byte of the plan."""
    child = begin(root)
    if not wait_for_rows(root, child, int(random.integers(1, 20))):
        return f"it ended before: {child.end(within=1).err[-300:]!r}"
    before = (root / "S" / "study.toml").read_bytes()
    command = ("run", "S", "--blocks", "1", "--yes", "--no-live")
    second = run(command, root, within=LIMIT, environment=environment(root))
    after = (root / "S" / "study.toml").read_bytes()
    ended = child.end(within=LIMIT)
    if second.code != 2 or "another process is running" not in second.err:
        return f"run --blocks 1: exit {second.code}: {second.err[-300:]!r}"
    if before != after:
        return "study.toml was written during the comparison"
    if ended.code != 0:
        return f"the comparison: exit {ended.code}: {ended.err[-300:]!r}"
    return unchanged_when_they_wake(root, [], expected)
