"""Processes of one machine: how many, what ends them, and every way for it to go wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from normlab.errors import StorageError, UsageError
from normlab.records.run import EpochRow, Outcome
from normlab.study.executors import worker as worker_module
from normlab.study.executors.base import ExecutorRequest
from normlab.study.executors.processes import ProcessesExecutor, parse_jobs
from normlab.study.executors.worker import images_per_second
from normlab.study.job import JobSettings, make_job
from normlab.study.scheduler import run_study
from normlab.study.study import Study

TRAINING = {"network": {"name": "resnet8"}, "epochs": 3, "augmentation": "light"}


@pytest.fixture
def study(make_plan, dataset, pictures, tmp_path, monkeypatch) -> Study:
    """Two arms, two blocks, three epochs, in a cache of its own."""
    monkeypatch.setenv("NORMLAB_CACHE", str(tmp_path / "cache"))
    plan = make_plan(pictures, blocks=2, training=TRAINING)
    return Study.create(tmp_path / "study", plan, dataset)


@pytest.fixture
def executor(study):
    found = ProcessesExecutor(ExecutorRequest(study.folder, study.job_settings(), (), 2), 2)
    yield found
    found.close()


@pytest.mark.slow
def test_a_refused_run_ends_it_when_the_others_are_done(study, executor) -> None:
    allowed = [True, True, True, False]
    events = list(
        run_study(study, executor, study.job_settings(), may_start=lambda spec: allowed.pop(0))
    )
    ends = [event.status for _, event in events if isinstance(event, Outcome)]
    assert ends == ["finished"] * 3


@pytest.mark.slow
def test_a_run_that_kills_its_process_every_time_is_failed(study, executor) -> None:
    """It is begun again twice, and then called failed; the others are made."""
    victim = study.specs()[0].id
    kills = 0
    ends = {}
    for spec, event in run_study(study, executor, study.job_settings()):
        if isinstance(event, EpochRow) and spec.id == victim:
            # the row may be told when the run has just ended
            for found in [w for w in executor.workers if w.job and w.job.spec.id == victim]:
                os.kill(found.pid, signal.SIGKILL)
                kills += 1
        if isinstance(event, Outcome):
            ends[spec.id] = event
    assert kills
    others = {event.status for run, event in ends.items() if run != victim}
    assert others == {"finished"}
    # a signal may come when the run has just ended
    if ends[victim].status != "finished":
        assert (ends[victim].status, kills) == ("failed", 3)
        assert "its process ended 3 times" in ends[victim].error


@pytest.mark.slow
def test_a_worker_without_its_data_says_why(study, tmp_path) -> None:
    settings = JobSettings(source=str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match=r"a worker could not begin: .*nowhere"):
        ProcessesExecutor(ExecutorRequest(study.folder, settings, ()))


@pytest.mark.slow
def test_a_full_disk_ends_the_study_as_it_does_inline(study, executor) -> None:
    for spec in study.specs():
        folder = study.run_folder(spec).path
        folder.mkdir(parents=True)
        (folder / "checkpoint").write_text("a file where a folder belongs")
    with pytest.raises(StorageError, match=r"cannot write .*state\.ckpt"):
        list(run_study(study, executor, study.job_settings()))


PARENT = """
import sys, time
from pathlib import Path
from normlab.study.executors.base import ExecutorRequest
from normlab.study.executors.processes import ProcessesExecutor, Worker
from normlab.study.scheduler import run_study
from normlab.study.study import Study
study = Study.open(sys.argv[1])
wait_for = Worker.wait_for
def told(self, key):
    print(self.pid, flush=True)
    return wait_for(self, key)
Worker.wait_for = told
executor = ProcessesExecutor(ExecutorRequest(study.folder, study.job_settings(), ()), 2)
for spec, event in run_study(study, executor, study.job_settings()):
    print("event", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
@pytest.mark.parametrize("moment", ["imports", "training"])
def test_processes_end_soon_after_their_parent(study, moment) -> None:
    """Within two seconds, also while they import."""
    command = [sys.executable, "-c", PARENT, str(study.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        pids = [int(parent.stdout.readline())]
        if moment == "training":
            pids.append(int(parent.stdout.readline()))
            assert parent.stdout.readline() == "event\n"
        time.sleep(0.3)
        parent.kill()
        start = time.monotonic()
        while any(process_exists(pid) for pid in pids):
            assert time.monotonic() < start + 2.5  # half a second for a machine that is busy
            time.sleep(0.02)


def process_exists(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


class Counted(ProcessesExecutor):
    """An executor whose speed is made up."""

    speeds: ClassVar = {1: 100.0, 2: 190.0, 4: 300.0, 8: 310.0, 16: 900.0}

    def grow(self, number: int) -> None:
        self.workers += [_Nobody() for _ in range(number - len(self.workers))]

    def images_per_second(self, spec) -> float:
        return self.speeds[len(self.workers)]


class _Nobody:
    def end(self) -> None:
        pass


def counted(device: str, cores: int) -> Counted:
    settings = JobSettings("nowhere", device=device, threads=cores)
    return Counted(ExecutorRequest(Path("nowhere"), settings, ()))


def test_processes_grow_while_it_pays() -> None:
    executor = counted("cuda:0", 16)
    assert executor.grow_while_it_pays(None, runs=100) == [(1, 100), (2, 190), (4, 300), (8, 310)]
    assert executor.capacity == 4


def test_no_more_processes_than_runs_or_cores() -> None:
    executor = counted("cuda:0", 16)
    executor.grow_while_it_pays(None, runs=3)
    assert executor.capacity == 2
    executor = counted("cpu", 2)
    executor.grow_while_it_pays(None, runs=100)
    assert executor.capacity == 2


def test_jobs() -> None:
    assert (parse_jobs("3"), parse_jobs("auto")) == (3, None)
    for text in ("0", "-1", "many", "17", "1.5"):
        with pytest.raises(UsageError, match="number of runs at once, 1 to 16, or auto"):
            parse_jobs(text)


def test_the_calibration_measures_and_keeps_nothing(study, dataset) -> None:
    job = make_job(study.folder, study.specs()[0], study.job_settings())
    assert images_per_second(job, dataset, 0.05) > 0
    assert not list(study.folder.glob("runs/*"))


def test_a_calibration_without_memory_does_nothing(study, dataset, monkeypatch) -> None:
    from normlab.study import calibration

    def burst(*args: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(calibration, "train_epoch", burst)
    job = make_job(study.folder, study.specs()[0], study.job_settings())
    assert images_per_second(job, dataset, 0.05) == 0


def test_the_calibration_takes_the_steps_of_the_runs(study, dataset, monkeypatch) -> None:
    from normlab.study import calibration
    from normlab.train.step_mode import StepMode

    seen = []
    gradients_of = calibration.gradients_of

    def watched(network, spec, steps):
        seen.append(steps)
        return gradients_of(network, spec)

    monkeypatch.setattr(calibration, "gradients_of", watched)
    settings = study.job_settings(steps=StepMode(compiled=True))
    images_per_second(make_job(study.folder, study.specs()[0], settings), dataset, 0.01)
    assert seen == [StepMode(compiled=True)]


def test_a_worker_imports_nothing_slow_before_it_listens() -> None:
    code = (
        "import sys, normlab.study.executors.worker, normlab.study.job;"
        "print({'torch', 'numpy', 'pydantic'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
    assert worker_module.GRACE_SECONDS < 2
