"""Runs as jobs of SLURM, in arrays, by its own commands: https://slurm.schedmd.com/sbatch.html

An array holds what can be run at one moment: what the next look needs. Before its time is over a
job gets SIGUSR1, ends its batch and stores; it is handed in again and goes on from there. SLURM
itself begins a job anew whose node is lost (--requeue). sbatch, squeue and scancel are enough: a
library that pickles jobs into the shared folder would run what anybody puts there, and asks the
accounting how jobs ended, which many clusters do not have.
"""

from __future__ import annotations

import math
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from normlab.errors import StorageError, UsageError
from normlab.study.executors.base import ExecutorInfo, ExecutorRequest
from normlab.study.executors.options import read_options
from normlab.study.executors.remote import Answer, RemoteExecutor, placed
from normlab.study.job import Job

TASKS = 256
"""Jobs that are handed in at once where nobody says how many."""
SIGNAL_SECONDS = 60
"""Seconds before its time is over in which a job ends its batch and stores."""
QUESTION_SECONDS = 2.0
"""Seconds between two questions to the queue: it is shared by everybody on the cluster."""
PATIENCE_SECONDS = 900
"""Seconds for which the queue may not answer, as while its controller is started anew."""
COMMAND_SECONDS = 60
PASSED_ON = ("partition", "gres", "mem", "account", "qos", "constraint", "exclude")
"""Options that sbatch has under the same name."""
KINDS: Mapping[str, type] = {
    **dict.fromkeys((*PASSED_ON, "time"), str),
    "cpus": int,
    "tasks": int,
    "signal": int,
}
LOCAL_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs", "overlay", "ext4", "ext3", "xfs", "btrfs"})


class SlurmEngine:
    """One task of an array a run; a handle is `array_task`, as squeue prints it."""

    def __init__(self, study: Path, options: str, tasks: int) -> None:
        """Ask SLURM whether it would take jobs with such options.

        Raises:
            UsageError: there is no sbatch on this machine; SLURM refuses the options, as a
                partition that does not exist.
        """
        self._folder = study / ".slurm"
        self._flags = sbatch_flags(options, name=f"normlab-{study.name}")
        self._living: set[str] = set()
        self._logs: dict[str, Path] = {}
        self._asked = self._answered = time.monotonic()
        self.capacity = tasks
        call_slurm("sbatch", "--test-only", *self._flags, "--wrap=true")

    def start(self, jobs: Sequence[Job]) -> list[str]:
        """One array of them, with a file a job in a folder of its own."""
        folder = self._folder / uuid.uuid4().hex[:12]
        try:
            folder.mkdir(parents=True)
            for number, job in enumerate(jobs):
                (folder / f"{number}.json").write_text(job.to_json(), encoding="utf-8")
            script = folder / "array.sh"
            script.write_text(_script(folder), encoding="utf-8")
        except OSError as error:
            raise StorageError(f"cannot write to {folder}: {error.strerror or error}") from error
        log = folder / "%a.log"
        array = call_slurm(
            "sbatch", "--parsable", *self._flags, f"--array=0-{len(jobs) - 1}",
            f"--output={log}", "--open-mode=append", str(script),
        ).partition(";")[0].strip()  # fmt: skip
        logs = {f"{array}_{number}": folder / f"{number}.log" for number in range(len(jobs))}
        self._logs.update(logs)
        self._living.update(logs)
        self._asked = time.monotonic()
        return list(logs)

    def ended(self, handles: Sequence[str]) -> dict[str, Answer]:
        """Those that the queue has no longer; what they printed last says why."""
        if not handles:
            return {}
        if time.monotonic() >= self._asked + QUESTION_SECONDS:
            self._look_at_the_queue(handles)
        return {h: self._answer(h) for h in handles if h not in self._living}

    def stop(self, handles: Sequence[str]) -> None:
        """SIGTERM to those that run, and the others leave the queue."""
        if handles:
            call_slurm("scancel", *handles)

    def close(self) -> None:
        """Remove the jobs' files, unless one still runs or has printed something."""
        logs = self._logs.values()
        if not self._living and not any(log.exists() and log.stat().st_size for log in logs):
            shutil.rmtree(self._folder, ignore_errors=True)

    def _look_at_the_queue(self, handles: Sequence[str]) -> None:
        """Which tasks wait or run; all of them while SLURM's controller is away for a moment."""
        arrays = sorted({handle.partition("_")[0] for handle in handles})
        self._asked = time.monotonic()
        try:
            self._living = _queue(arrays)
        except UsageError:
            if self._asked > self._answered + PATIENCE_SECONDS:
                raise
        else:
            self._answered = self._asked

    def _answer(self, handle: str) -> Answer:
        try:
            lines = self._logs[handle].read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return Answer(
                f"job {handle} of SLURM left no log in {self._folder}: it was removed before it "
                "began, or its node does not see the study's folder"
            )
        said = [line.strip() for line in lines if line.strip()]
        last = said[-1] if said else "it said nothing"
        if last.startswith("normlab: "):  # what normlab.study.job prints of its own errors
            return Answer(last.removeprefix("normlab: "), "UsageError")
        return Answer(f"job {handle} of SLURM ended: {last}")


def sbatch_flags(text: str, *, name: str, signal: int = SIGNAL_SECONDS) -> list[str]:
    """The options behind the executor's name as arguments of sbatch.

    Raises:
        UsageError: an option that the executor does not have.
    """
    options = read_options("slurm", text, KINDS)
    chosen = [f"--{flag}={options[flag]}" for flag in PASSED_ON if flag in options]
    if "time" in options:
        chosen.append(f"--time={_minutes(options['time'])}")
    return [
        *chosen,
        f"--cpus-per-task={options.get('cpus', 1)}",
        f"--signal=B:USR1@{options.get('signal', signal)}",
        "--requeue",
        f"--job-name={name}",
    ]


def _minutes(text: str) -> str:
    """A time as SLURM has it; 90s and 2h are understood too.

    >>> _minutes("2h"), _minutes("1-12:00:00")
    ('120', '1-12:00:00')
    """
    if text[-1:].isdigit():
        return text
    from normlab.study.budget import parse_duration

    return str(max(1, math.ceil(parse_duration(text) / 60)))


def _script(folder: Path) -> str:
    """The shell becomes the job, so that signals reach it even during its imports."""
    command = f"{shlex.quote(sys.executable)} -m normlab.study.job"
    return f'#!/bin/bash\nexec {command} {shlex.quote(str(folder))}/"$SLURM_ARRAY_TASK_ID".json\n'


def _queue(arrays: Iterable[str]) -> set[str]:
    """The tasks of these arrays that wait or run."""
    wanted = f"--jobs={','.join(arrays)}"
    asked = ("--noheader", "--array", "--format=%i", wanted)
    said = call_slurm("squeue", *asked, gone_is_empty=True)
    return set(said.split())


def call_slurm(command: str, *arguments: str, gone_is_empty: bool = False) -> str:
    """What a command of SLURM prints.

    Raises:
        UsageError: it is not there, refuses (in its own words), or does not answer.
    """
    if shutil.which(command) is None:
        raise UsageError(
            f"there is no {command} on this machine; start the study on a login node of a SLURM "
            "cluster, or use another executor (normlab executors)"
        )
    try:
        found = subprocess.run(
            [command, *arguments], capture_output=True, text=True, timeout=COMMAND_SECONDS,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{command} of SLURM does not answer: {error}") from None
    if found.returncode:
        said = [line.strip() for line in found.stderr.splitlines() if line.strip()]
        if gone_is_empty and any("Invalid job id" in line for line in said):
            return ""  # all of them have ended, and are forgotten
        reason = said[0].removeprefix(f"{command}: ").removeprefix("error: ") if said else "?"
        raise UsageError(f"SLURM refuses: {reason}; see the options behind --executor slurm:")
    return found.stdout


def file_system(path: Path) -> str:
    """The kind of file system that a path is on; empty where nobody says it."""
    best, kind = "", ""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8")
    except OSError:
        return ""
    for line in mounts.splitlines():
        _, point, name, *_ = line.split()
        point = point.replace("\\040", " ")
        if path.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, name
    return kind


def _make(request: ExecutorRequest) -> RemoteExecutor[str]:
    options = read_options("slurm", request.options, KINDS)
    tasks = options.get("tasks") or (request.jobs if (request.jobs or 1) > 1 else None) or TASKS
    study = request.study.resolve()
    engine = SlurmEngine(study, request.options, tasks)
    kind = file_system(study)
    if kind in LOCAL_FILE_SYSTEMS:
        request.say(f"Folder   {study} is on {kind}: do the cluster's nodes see it?")
    device = "cuda" if "gres" in options else "cpu"
    threads = int(options.get("cpus", 1))
    return RemoteExecutor(engine, lambda job: placed(job, device=device, threads=threads))


EXECUTOR = ExecutorInfo(
    "slurm",
    "Jobs of SLURM, in arrays; over their time they go on as new ones.",
    "[partition=gpu][,time=2h][,gres=gpu:1][,cpus=1][,tasks=N][,mem=8G][,account=…][,qos=…]",
    _make,
    elsewhere=True,
)
