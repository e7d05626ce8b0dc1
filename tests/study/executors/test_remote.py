"""What executors of engines have in common, with an engine of this machine's processes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from normlab.errors import UsageError
from normlab.study.executors.base import Executor, ExecutorRequest
from normlab.study.executors.options import read_options
from normlab.study.executors.registry import find_executor
from normlab.study.executors.remote import ATTEMPTS, Answer, RemoteExecutor, placed
from normlab.study.executors.slurm import file_system, sbatch_flags
from normlab.study.job import Job
from normlab.testing import ExecutorContract


class ProcessEngine:
    """A process a job, by the command that SLURM's jobs are too."""

    capacity = 2

    def __init__(self, module: str = "normlab.study.job") -> None:
        self._module = module
        self._folder = tempfile.TemporaryDirectory(prefix="normlab-engine-")
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, jobs: Sequence[Job]) -> list[int]:
        first = len(self.processes)
        for number, job in enumerate(jobs, start=first):
            path = Path(self._folder.name) / f"{number}.json"
            path.write_text(job.to_json(), encoding="utf-8")
            command = [sys.executable, "-m", self._module, str(path)]
            self.processes.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return list(range(first, len(self.processes)))

    def ended(self, handles: Sequence[int]) -> dict[int, Answer]:
        done = [handle for handle in handles if self.processes[handle].poll() is not None]
        return {handle: Answer(self._last_line(handle)) for handle in done}

    def stop(self, handles: Sequence[int]) -> None:
        for handle in handles:
            self.processes[handle].terminate()

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()
        self._folder.cleanup()

    def _last_line(self, handle: int) -> str:
        pipe = self.processes[handle].stderr
        assert pipe is not None
        return next(iter(pipe.read().strip().splitlines()[-1:]), "")


@pytest.mark.slow
class TestRemote(ExecutorContract):
    def make(self, request: ExecutorRequest) -> Executor:
        return RemoteExecutor(ProcessEngine(), lambda job: placed(job, device="cpu", threads=1))

    def test_a_job_that_never_begins_is_a_failed_run(self) -> None:
        study, dataset = self.new_study("study")
        engine = ProcessEngine("normlab.no_such_module")
        executor = RemoteExecutor(engine, lambda job: job)
        self.make = lambda request: executor  # type: ignore[method-assign]
        events = self.run(study, dataset)
        assert {getattr(event, "status", "row") for _, event in events} == {"failed"}
        assert len(engine.processes) == ATTEMPTS * len(study.specs())
        assert all("no_such_module" in getattr(event, "error", "") for _, event in events)


def test_the_first_option_may_stand_without_its_name():
    kinds = {"address": str, "cpus": float, "tasks": int}
    assert read_options("ray", "10.0.0.1:6379,cpus=.5", kinds) == {
        "address": "10.0.0.1:6379",
        "cpus": 0.5,
    }
    assert read_options("ray", "", kinds) == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("auto,cpu=2", "no option 'cpu'; did you mean cpus"),
        ("cpus=none", "a number above 0, got 'none'"),
        ("cpus=nan", "a number above 0, got 'nan'"),
        ("tasks=1.5", "a whole number above 0"),
        ("tasks=0", "a whole number above 0"),
    ],
)
def test_options_that_are_none_are_refused(text: str, sentence: str):
    with pytest.raises(UsageError, match=sentence):
        read_options("ray", text, {"address": str, "cpus": float, "tasks": int})


def test_options_become_arguments_of_sbatch():
    flags = sbatch_flags("partition=gpu,time=90m,gres=gpu:1,cpus=4", name="a study")
    assert flags == [
        *("--partition=gpu", "--gres=gpu:1", "--time=90", "--cpus-per-task=4"),
        *("--signal=B:USR1@60", "--requeue", "--job-name=a study"),
    ]


def test_without_sbatch_it_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    info, options = find_executor("slurm:partition=gpu")
    with pytest.raises(UsageError, match="there is no sbatch on this machine"):
        info.make(ExecutorRequest(tmp_path, None, (), options=options))  # type: ignore[arg-type]


def test_a_file_system_has_a_name():
    assert file_system(Path("/proc/self")) in ("proc", "")
