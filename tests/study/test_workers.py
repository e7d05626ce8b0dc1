"""Runs beside one another: the same bytes as one at a time, and every way for it to go wrong."""

from __future__ import annotations

import os
import signal
from typing import ClassVar

import pytest
import torch

from normlab.errors import InterruptedRunError, UsageError
from normlab.records.run import EpochRow, Outcome
from normlab.study.study import Study
from normlab.study.worker import images_per_second
from normlab.study.workers import Workers, parse_jobs, threads_of

TRAINING = {"network": {"name": "resnet8"}, "epochs": 3, "augmentation": "light"}


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def study(make_plan, dataset, pictures, tmp_path, monkeypatch) -> Study:
    """Two arms, two blocks, three epochs, in a cache of its own."""
    monkeypatch.setenv("NORMLAB_CACHE", str(tmp_path / "cache"))
    plan = make_plan(pictures, blocks=2, training=TRAINING)
    return Study.create(tmp_path / "study", plan, dataset)


@pytest.fixture
def workers(study, dataset):
    found = Workers.start(study.folder, dataset.manifest.location, "cpu", 2, 2)
    yield found
    found.end()


def outcomes(events) -> dict[str, str]:
    return {spec.id: event.status for spec, event in events if isinstance(event, Outcome)}


def files(study: Study) -> dict[str, bytes]:
    """What must be the same to the bit."""
    return {
        f"{path.parent.name}/{path.name}": path.read_bytes()
        for name in ("weights.safetensors", "predictions.npz", "layers.jsonl")
        for path in (study.folder / "runs").glob(f"*/{name}")
    }


@pytest.mark.slow
def test_the_same_bytes_as_one_at_a_time(
    study, dataset, workers, make_plan, pictures, tmp_path, one_thread
) -> None:
    events = list(study.run(dataset, workers=workers))
    assert set(outcomes(events).values()) == {"finished"}
    rows = [(spec.id, e.epoch) for spec, e in events if isinstance(e, EpochRow)]
    assert sorted(rows) == sorted((spec.id, e) for spec in study.specs() for e in (1, 2, 3))
    assert {run.environment["threads"] for run in study.records()} == {1}
    plan = make_plan(pictures, blocks=2, training=TRAINING)
    alone = Study.create(tmp_path / "alone", plan, dataset)
    list(alone.run(dataset))
    assert len(files(alone)) == 3 * 4
    assert files(study) == files(alone)


@pytest.mark.slow
def test_stopped_in_order_and_continued(study, dataset, workers, one_thread) -> None:
    seen = []

    def around(batches):
        for batch in batches:
            if seen:  # after the first row
                raise InterruptedRunError("stopped")
            yield batch

    events = []
    for spec, event in study.run(dataset, workers=workers, around=around):
        events.append((spec, event))
        seen.append(event)
    ended = outcomes(events)
    assert 1 <= len(ended) <= 2
    assert set(ended.values()) <= {"interrupted", "finished"}
    assert not list(study.folder.glob("runs/*/weights.safetensors")) or "finished" in ended.values()
    list(study.run(dataset))
    assert not study.missing()


@pytest.mark.slow
def test_a_worker_that_is_killed_is_one_failed_run(study, dataset, workers) -> None:
    killed = []
    events = []
    for spec, event in study.run(dataset, workers=workers):
        events.append((spec, event))
        if isinstance(event, EpochRow) and not killed:
            worker = next(w for w in workers.all if w.spec is not None and w.spec.id == spec.id)
            os.kill(worker._process.pid, signal.SIGKILL)
            killed.append(spec.id)
    ended = outcomes(events)
    assert len(ended) == 4
    # it may have been through before the signal came
    others = {status for run, status in ended.items() if run not in killed}
    assert others == {"finished"}
    assert ended[killed[0]] in ("failed", "finished")
    if ended[killed[0]] == "failed":
        (record,) = [r for r in study.records() if r.spec.id == killed[0]]
        assert "its process ended" in record.outcome.error
        list(study.run(dataset))
    assert not study.missing()


@pytest.mark.slow
def test_a_refused_run_ends_it_when_the_others_are_done(study, dataset, workers) -> None:
    allowed = [True, True, True, False]
    events = list(study.run(dataset, workers=workers, may_start=lambda spec: allowed.pop(0)))
    assert len(outcomes(events)) == 3


@pytest.mark.slow
def test_a_worker_without_its_data_says_why(study, tmp_path) -> None:
    with pytest.raises(UsageError, match="a worker could not begin"):
        Workers.start(study.folder, str(tmp_path / "nowhere"), "cpu", 2, 1)


class Counted(Workers):
    """Workers whose speed is made up."""

    speeds: ClassVar = {1: 100.0, 2: 190.0, 4: 300.0, 8: 310.0, 16: 900.0}

    def grow(self, number: int) -> None:
        self.all += [_Nobody() for _ in range(number - len(self.all))]

    def images_per_second(self, spec) -> float:
        return self.speeds[len(self.all)]


class _Nobody:
    def end(self) -> None:
        pass


def counted(device: str, cores: int) -> Counted:
    found = Counted("", "", device, cores, [])
    found.grow(1)
    return found


def test_workers_grow_while_it_pays() -> None:
    workers = counted("cuda", 16)
    assert workers.grow_while_it_pays(None, runs=100) == [(1, 100), (2, 190), (4, 300), (8, 310)]
    assert len(workers.all) == 4


def test_no_more_workers_than_runs_or_cores() -> None:
    workers = counted("cuda", 16)
    workers.grow_while_it_pays(None, runs=3)
    assert len(workers.all) == 2
    workers = counted("cpu", 2)
    workers.grow_while_it_pays(None, runs=100)
    assert len(workers.all) == 2


def test_cores_are_divided() -> None:
    assert [threads_of("cpu", 8, jobs) for jobs in (1, 2, 3, 16)] == [8, 4, 2, 1]
    assert threads_of("cuda", 16, 2) == 4


def test_jobs() -> None:
    assert (parse_jobs("3"), parse_jobs("auto")) == (3, None)
    for text in ("0", "-1", "many", "17", "1.5"):
        with pytest.raises(UsageError, match="number of runs at once, 1 to 16, or auto"):
            parse_jobs(text)


def test_the_pilot_measures_and_keeps_nothing(study, dataset) -> None:
    from normlab.data.load import block_data

    spec = study.specs()[0]
    assert images_per_second(spec, block_data(dataset, spec), "cpu", 0.05) > 0
    assert not list(study.folder.glob("runs/*"))


def test_a_pilot_without_memory_does_nothing(study, dataset, monkeypatch) -> None:
    from normlab.data.load import block_data
    from normlab.study import calibration as calibration

    def burst(*args: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(calibration, "train_epoch", burst)
    spec = study.specs()[0]
    assert images_per_second(spec, block_data(dataset, spec), "cpu", 0.05) == 0
