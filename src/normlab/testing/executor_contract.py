"""Tests that an executor of your own can run: subclass `ExecutorContract` and let pytest find it.

    from normlab.testing import ExecutorContract

    class TestMyExecutor(ExecutorContract):
        def make(self, request):
            return MyExecutor(request)

Every test makes a study of a second in a temporary folder. Only the standard library's
`unittest.SkipTest` is used, so pytest is not needed to import this.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence, Set
from dataclasses import replace
from pathlib import Path
from unittest import SkipTest

import numpy as np
import torch
from PIL import Image

from normlab.data.dataset import Dataset, load_data
from normlab.errors import UsageError
from normlab.norms.registry import temporary_norms
from normlab.plugins import import_plugins
from normlab.records.lease import lease_owner, take_lease
from normlab.records.plan import parse_plan
from normlab.records.run import EpochRow, Outcome
from normlab.study.executors.base import Event, Executor, ExecutorRequest, Held
from normlab.study.executors.inline import InlineExecutor
from normlab.study.job import Job, make_job
from normlab.study.scheduler import run_study
from normlab.study.study import Study

SAME_FILES = ("weights.safetensors", "predictions.npz", "layers.jsonl", "spec.json")
CLASSES = ("bright", "dark", "striped")
OWN_NORM = """
import torch
from normlab.norms.functional.engine import plane_norm
from normlab.norms.registry import NormInfo, register


class ContractNorm(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(channels))

    def forward(self, x, residual=None, activation="none"):
        return plane_norm(x, rule, (self.weight,), residual, activation)[0]


def rule(mean, variance, weight):
    scale = weight * (variance + mean**2 + 1e-5).rsqrt()
    return scale, torch.zeros_like(scale)


register(
    NormInfo(
        code="contract-norm",
        name="mean square of every plane",
        paper="none",
        normalizes_over="H, W per sample and channel",
        options={},
        parameters_per_channel=1,
        make=ContractNorm,
    )
)
"""
TAKE_AND_DIE = """
import os, sys
from pathlib import Path
from normlab.norms.registry import temporary_norms
from normlab.plugins import import_plugins
from normlab.records.lease import take_lease
assert take_lease(Path(sys.argv[1])) is not None
os._exit(9)
"""


class ExecutorContract(ABC):
    """What every executor must hold, as tests."""

    jobs: int = 2
    """Runs at once that are asked for."""

    @abstractmethod
    def make(self, request: ExecutorRequest) -> Executor:
        """A new executor; called once or twice in every test, which closes it."""

    # ── what the tests share ──────────────────────────────────────────────────────────────────

    def setup_method(self) -> None:
        """A folder, a cache and one thread of their own."""
        self._temporary = tempfile.TemporaryDirectory(prefix="normlab-contract-")
        self.folder = Path(self._temporary.name)
        self._environment = dict(os.environ)
        self._threads = torch.get_num_threads()
        self._path = list(sys.path)
        self._norms = temporary_norms()
        self._norms.__enter__()
        os.environ["NORMLAB_CACHE"] = str(self.folder / "cache")
        torch.set_num_threads(1)
        self.write_images()

    def teardown_method(self) -> None:
        """Everything as it was."""
        self._norms.__exit__(None, None, None)
        sys.modules.pop("normlab_contract_plugin", None)
        torch.set_num_threads(self._threads)
        sys.path[:] = self._path
        os.environ.clear()
        os.environ.update(self._environment)
        self._temporary.cleanup()

    def write_images(self) -> None:
        """Three classes of eight images of 8×8."""
        generator = np.random.default_rng(0)
        for number, name in enumerate(CLASSES):
            (self.folder / "images" / name).mkdir(parents=True)
            for index in range(8):
                pixels = generator.integers(0, 120, (8, 8, 3)) + (120 if number == 0 else 0)
                if number == 2:
                    pixels[::2] += 120
                path = self.folder / "images" / name / f"{index:02d}.png"
                Image.fromarray(pixels.astype(np.uint8)).save(path)

    def new_study(self, name: str, **changes: object) -> tuple[Study, Dataset]:
        """Two arms, one block, three epochs; `changes` replace tables of the plan."""
        source = str(self.folder / "images")
        content: dict[str, object] = {
            "name": "contract",
            "blocks": 1,
            "data": {"source": source, "image_size": 8},
            "factors": {"norm": ["bn", "gn"], "learning_rate": [0.02], "batch_size": [4]},
            "training": {"network": {"name": "resnet8"}, "epochs": 3},
            **changes,
        }
        dataset = load_data(source, 8)
        return Study.create(self.folder / name, parse_plan(content), dataset), dataset

    def new_executor(self, study: Study, dataset: Dataset) -> Executor:
        """The executor that is tested, for a study."""
        settings = study.job_settings()
        missing = tuple(study.missing())
        request = ExecutorRequest(study.folder, settings, missing, self.jobs, dataset=dataset)
        return self.make(request)

    def undisturbed(self, **changes: object) -> dict[str, bytes]:
        """The files of the same study, made one run after the other in this process."""
        study, dataset = self.new_study("undisturbed", **changes)
        list(run_study(study, InlineExecutor(dataset), study.job_settings()))
        return self.files(study)

    def files(self, study: Study) -> dict[str, bytes]:
        """What must be the same to the bit, and the rows without their seconds."""
        found = {
            f"{path.parent.name}/{path.name}": path.read_bytes()
            for name in SAME_FILES
            for path in (study.folder / "runs").glob(f"*/{name}")
        }
        for record in study.records():
            for row in record.rows:
                content = row.model_dump_json(exclude={"seconds", "images_per_second"})
                found[f"{record.folder.name}/epoch {row.epoch}"] = content.encode()
        return found

    def run(self, study: Study, dataset: Dataset) -> list[Event]:
        """All events of what is missing."""
        executor = self.new_executor(study, dataset)
        try:
            return list(run_study(study, executor, study.job_settings()))
        finally:
            executor.close()

    def assert_same(self, study: Study, expected: dict[str, bytes]) -> None:
        """Assert that all runs ended, with the same bytes."""
        found = self.files(study)
        assert not study.missing(), f"{len(study.missing())} runs are missing"
        assert found.keys() == expected.keys()
        different = [name for name in found if found[name] != expected[name]]
        assert not different, f"other bytes in {different}"

    # ── the tests ─────────────────────────────────────────────────────────────────────────────

    def test_the_same_bytes_as_inline(self) -> None:
        """Every row and every outcome is told once, and the files are those of one process."""
        study, dataset = self.new_study("study")
        events = self.run(study, dataset)
        rows = [(spec.id, event.epoch) for spec, event in events if isinstance(event, EpochRow)]
        expected = [(spec.id, epoch) for spec in study.specs() for epoch in (1, 2, 3)]
        assert sorted(rows) == sorted(expected), rows
        assert ended(events) == dict.fromkeys((spec.id for spec in study.specs()), "finished")
        self.assert_same(study, self.undisturbed())
        assert not list(study.folder.glob("runs/*/.lease*")), "a lease was not given back"

    def test_a_killed_job_is_failed_or_run_again(self) -> None:
        """SIGKILL to the process that has the run in hand, after its first row."""
        if not hasattr(signal, "SIGKILL"):
            raise SkipTest("there is no SIGKILL here")
        changes: dict[str, object] = {  # long enough that a row is seen before it ends
            "training": {"network": {"name": "resnet8"}, "epochs": 30}
        }
        study, dataset = self.new_study("study", **changes)
        executor = self.new_executor(study, dataset)
        killed = ""
        events: list[Event] = []
        try:
            for spec, event in run_study(study, executor, study.job_settings()):
                events.append((spec, event))
                if killed or not isinstance(event, EpochRow):
                    continue
                owner = lease_owner(study.run_folder(spec).path)
                if owner is not None and owner.pid == os.getpid():
                    raise SkipTest("runs are made in this process")
                if owner is not None:
                    os.kill(owner.pid, signal.SIGKILL)
                    killed = spec.id
        finally:
            executor.close()
        outcomes = ended(events)
        assert set(outcomes) == {spec.id for spec in study.specs()}
        assert {status for run, status in outcomes.items() if run != killed} <= {"finished"}
        assert killed, "no run was seen in hand"
        assert outcomes[killed] in ("finished", "failed")
        self.run(study, dataset)
        self.assert_same(study, self.undisturbed(**changes))

    def test_stopped_in_order_and_continued(self) -> None:
        """After the first row: no run is begun any more, and no finished epoch is lost."""
        changes: dict[str, object] = {"blocks": 2}
        study, dataset = self.new_study("study", **changes)
        executor = self.new_executor(study, dataset)
        seen: list[Event] = []
        try:
            settings = study.job_settings()
            for event in run_study(study, executor, settings, should_stop=lambda: bool(seen)):
                seen.append(event)  # noqa: PERF402  (the loop looks at what was seen)
        finally:
            executor.close()
        assert set(ended(seen).values()) <= {"interrupted", "finished"}
        assert study.missing(), "it was not stopped"
        stored = {spec.id: len(study.run_folder(spec).read_rows()) for spec in study.specs()}
        reported = [spec.id for spec, event in seen if isinstance(event, EpochRow)]
        assert all(stored[run] >= reported.count(run) for run in reported)
        self.run(study, dataset)
        self.assert_same(study, self.undisturbed(**changes))

    def test_over_its_time_it_goes_on_in_another_session(self) -> None:
        """Jobs stop in order when their time is over; no session loses what another has done."""
        changes: dict[str, object] = {
            "training": {"network": {"name": "resnet8"}, "epochs": 40},
            "factors": {"norm": ["bn"], "learning_rate": [0.02], "batch_size": [4]},
        }
        study, dataset = self.new_study("study", **changes)
        (spec,) = study.specs()
        seconds, sessions, before = 0.25, 0, 0
        while study.missing() and sessions < 12:
            executor = self.new_executor(study, dataset)
            sessions += 1
            settings = replace(study.job_settings(), stop_at=time.time() + seconds)
            try:
                outcomes = ended(list(run_study(study, executor, settings)))
            finally:
                executor.close()
            rows = len(study.run_folder(spec).read_rows())
            assert rows >= before, "an epoch was lost"
            assert set(outcomes.values()) <= {"interrupted", "finished"}, outcomes
            before, seconds = rows, 2 * seconds  # what it takes to begin is the engine's own
        assert sessions > 1, "it was never stopped"
        self.assert_same(study, self.undisturbed(**changes))

    def test_a_norm_of_ones_own_is_known(self) -> None:
        """Through the plugins of the plan, in every process."""
        package = self.folder / "package"
        package.mkdir()
        (package / "normlab_contract_plugin.py").write_text(OWN_NORM, encoding="utf-8")
        sys.path.insert(0, str(package))
        os.environ["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(package), os.environ.get("PYTHONPATH")])
        )
        import_plugins(["normlab_contract_plugin"])  # as the command does for --plugin
        study, dataset = self.new_study(
            "study",
            plugins=["normlab_contract_plugin"],
            factors={"norm": ["bn", "contract-norm"], "learning_rate": [0.02], "batch_size": [4]},
        )
        assert set(ended(self.run(study, dataset)).values()) == {"finished"}

    def test_the_lease_of_a_dead_owner_is_taken_over(self) -> None:
        """A lease is taken over at once where its process is gone from this machine."""
        study, dataset = self.new_study("study")
        folder = study.run_folder(study.specs()[0]).path
        command = [sys.executable, "-c", TAKE_AND_DIE, str(folder)]
        assert subprocess.run(command, check=False).returncode == 9
        assert list(folder.glob(".lease*"))
        events = self.run(study, dataset)
        assert not [event for _, event in events if isinstance(event, Held)]
        assert set(ended(events).values()) == {"finished"}

    def test_the_lease_of_a_living_owner_is_not_taken(self) -> None:
        """The run waits, and the others do not; once it is free it is made."""
        study, dataset = self.new_study("study")
        held = study.specs()[0]
        lease = take_lease(study.run_folder(held).path)
        assert lease is not None
        executor = self.new_executor(study, dataset)
        order = []
        try:
            for spec, event in run_study(study, executor, study.job_settings()):
                if isinstance(event, Held):
                    order.append("held")
                    assert spec == held
                elif isinstance(event, Outcome):
                    order.append(spec.id)
                    assert event.status == "finished"
                    if spec != held:
                        assert not study.run_folder(held).read_rows(), "somebody wrote into it"
                        lease.release()
        finally:
            lease.release()
            executor.close()
        assert order == ["held", study.specs()[1].id, held.id]

    def test_a_finished_job_returns_at_once(self) -> None:
        """With its outcome, and without a row or a byte that is new."""
        study, dataset = self.new_study("study")
        self.run(study, dataset)
        before = {path: path.stat().st_mtime_ns for path in study.folder.glob("runs/*/*.*")}
        executor = self.new_executor(study, dataset)
        try:
            spec = study.specs()[0]
            executor.submit(make_job(study.folder, spec, study.job_settings()))
            start, found = time.monotonic(), list[Event]()
            while not found and time.monotonic() < start + 60:
                found = executor.events(0.1)
            seconds = time.monotonic() - start
        finally:
            executor.close()
        assert [(s.id, getattr(event, "status", "")) for s, event in found] == [
            (spec.id, "finished")
        ]
        assert seconds < 5, f"it took {seconds:.1f} s"
        after = {path: path.stat().st_mtime_ns for path in study.folder.glob("runs/*/*.*")}
        assert after == before

    def test_a_job_that_gets_lost_is_found_out(self) -> None:
        """The study ends with one sentence; it does not wait for ever."""
        study, dataset = self.new_study("study")
        executor = _Forgetful(self.new_executor(study, dataset))
        sentence = "nobody noticed"
        try:
            list(run_study(study, executor, study.job_settings()))
        except UsageError as error:
            sentence = str(error)
        finally:
            executor.close()
        assert "has lost the run" in sentence, sentence
        assert "\n" not in sentence


class _Forgetful:
    """An executor that takes jobs and forgets them."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.capacity = executor.capacity
        self.in_hand: Set[str] = frozenset()

    def submit(self, job: Job) -> None:
        pass

    def events(self, timeout: float) -> list[Event]:
        return self._executor.events(0.0)

    def cancel(self) -> None:
        self._executor.cancel()

    def close(self) -> None:
        self._executor.close()


def ended(events: Sequence[Event]) -> dict[str, str]:
    """How the runs ended, by id."""
    return {spec.id: event.status for spec, event in events if isinstance(event, Outcome)}
