"""The service by which processes share a GPU, with a program in its place that notes its calls."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

from normlab.errors import UsageError
from normlab.study import devices
from normlab.study.devices import CONTROL, PIPES, devices_of, start_service, threads_of
from normlab.study.executors.base import ExecutorRequest
from normlab.study.executors.processes import ProcessesExecutor

PROGRAM = """#!{python}
import os, pathlib, sys
told = sys.argv[1:] or [sys.stdin.read()]
with open({log!r}, "a") as log:
    print(*told, pathlib.Path(os.environ[{pipes!r}]).is_dir(), sep="|", file=log)
sys.exit({code})
"""


@pytest.fixture
def control(tmp_path: Path, monkeypatch):
    """Puts the program there; gives the lines that it has noted."""
    log = tmp_path / "log.txt"
    log.touch()
    monkeypatch.delenv(PIPES, raising=False)
    monkeypatch.setattr(devices, "USUAL_PIPES", tmp_path / "nobody")

    def put(code: int = 0):
        program = tmp_path / CONTROL
        program.write_text(
            PROGRAM.format(python=sys.executable, log=str(log), pipes=PIPES, code=code)
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return lambda: log.read_text().split("\n")[:-1]

    return put


def test_it_is_started_and_ended(control) -> None:
    noted = control()
    service = start_service("cuda:0")
    assert service is not None
    folder = Path(service.environment[PIPES])
    assert folder.is_dir()
    assert noted() == ["-d|True"]
    service.end()
    assert noted() == ["-d|True", "quit", "|True"]
    assert not folder.exists()


def test_no_such_program(control, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert start_service("cuda") is None


def test_where_it_is_not_wanted_it_is_not_started(control, monkeypatch) -> None:
    noted = control()
    assert start_service("cpu") is None
    with monkeypatch.context() as patch:
        patch.setenv("NORMLAB_MPS", "0")
        assert start_service("cuda") is None
    with monkeypatch.context() as patch:
        patch.setenv(PIPES, "/somewhere")  # the user has one
        assert start_service("cuda") is None
    with monkeypatch.context() as patch:
        patch.setattr(devices, "USUAL_PIPES", Path("/tmp"))  # the machine has one
        assert start_service("cuda") is None
    assert noted() == []


def test_one_that_does_not_start(control, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    noted = control(code=1)
    assert start_service("cuda") is None
    assert noted() == ["-d|True"]
    assert not list(tmp_path.glob("normlab-mps-*"))


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="the GPU would serve")
def test_workers_that_get_no_device_by_it_are_started_without(
    control, make_plan, dataset, pictures, tmp_path
) -> None:
    from normlab.study.study import Study

    noted = control()
    study = Study.create(tmp_path / "study", make_plan(pictures), dataset)
    with pytest.raises(UsageError, match=r"a worker could not begin: .*(CUDA|cuda)"):
        ProcessesExecutor(ExecutorRequest(study.folder, study.job_settings(device="cuda"), ()))
    assert noted() == ["-d|True", "quit", "|True"]


def test_every_gpu_gets_processes_in_turn(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices_of("cuda") == ("cuda:0", "cuda:1")
    assert devices_of("cuda:1") == ("cuda:1",)
    assert devices_of("cpu") == ("cpu",)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert devices_of("cuda") == ("cuda",)


def test_cores_are_divided() -> None:
    assert [threads_of("cpu", 8, jobs) for jobs in (1, 2, 3, 16)] == [8, 4, 2, 1]
    assert threads_of("cuda", 16, 2) == 4
