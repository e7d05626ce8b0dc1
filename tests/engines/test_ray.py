"""A real Ray cluster of two nodes here; `make test-ray` gives it a network of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest

ray = pytest.importorskip("ray", reason='Ray is not installed: pip install "normlab[ray]"')

from normlab.errors import UsageError  # noqa: E402
from normlab.records.run import EpochRow  # noqa: E402
from normlab.study.executors import ray as ours  # noqa: E402
from normlab.study.executors.base import Event, Executor, ExecutorRequest  # noqa: E402
from normlab.study.scheduler import run_study  # noqa: E402
from normlab.testing import ExecutorContract  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "NORMLAB_TEST_RAY" not in os.environ,
        reason="a Ray cluster takes a network of its own: make test-ray",
    ),
]
MEMORY = {"object_store_memory": 80 * 2**20}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, **MEMORY}
    made = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        made.add_node(num_cpus=1, **MEMORY)
    made.wait_for_nodes()
    yield made
    made.shutdown()


class TestContract(ExecutorContract):
    cluster: ClassVar[Any]

    @pytest.fixture(autouse=True)
    def _cluster(self, cluster: Any) -> None:
        type(self).cluster = cluster

    def make(self, request: ExecutorRequest) -> Executor:
        return ours.EXECUTOR.make(replace(request, jobs=1, options=self.cluster.address))

    def request(self, options: str) -> ExecutorRequest:
        study, _ = self.new_study("study")
        options = f"{self.cluster.address},{options}" if options else self.cluster.address
        return ExecutorRequest(study.folder, study.job_settings(), (), options=options)

    def test_a_node_is_lost_while_it_works(self) -> None:
        """Ray begins its task on another node, which goes on from the records."""
        extra = self.cluster.add_node(num_cpus=1, **MEMORY)
        changes: dict[str, object] = {
            "training": {"network": {"name": "resnet8"}, "epochs": 30},
            "blocks": 2,
        }
        study, dataset = self.new_study("study", **changes)
        executor = self.new_executor(study, dataset)
        events: list[Event] = []
        try:
            for event in run_study(study, executor, study.job_settings()):
                events.append(event)
                busy = {spec.id for spec, _ in events}
                if extra is not None and len(busy) == 3 and isinstance(event[1], EpochRow):
                    self.cluster.remove_node(extra, allow_graceful=False)
                    extra = None
        finally:
            executor.close()
        assert extra is None, "three runs were never in hand at once"
        self.assert_same(study, self.undisturbed(**changes))

    def test_a_node_that_was_just_lost_is_left_out(self) -> None:
        """Ray lists it as alive for some seconds, and refuses tasks for it."""
        extra = self.cluster.add_node(num_cpus=1, **MEMORY)
        self.cluster.wait_for_nodes()
        self.cluster.remove_node(extra, allow_graceful=False)
        lines: list[str] = []
        request = replace(self.request(""), say=lines.append)
        ours.EXECUTOR.make(request).close()
        said = ("is gone, and gets no run", "waiting for 1 of 3 to answer")
        assert all(line.endswith(said) for line in lines), lines

    def test_what_a_run_gets_is_measured_on_a_node_of_every_kind(self) -> None:
        larger = self.cluster.add_node(num_cpus=2, **MEMORY)
        study, _ = self.new_study("study", blocks=2)
        study.save()
        lines: list[str] = []
        request = ExecutorRequest(
            study.folder,
            study.job_settings(),
            tuple(study.missing()),
            options=f"{self.cluster.address},cpus=auto",
            say=lines.append,
        )
        try:
            ours.EXECUTOR.make(request).close()
        finally:
            self.cluster.remove_node(larger)
        speed = r"1 at once [\d,]+"
        assert any(re.fullmatch(rf"Pilot    2 × 1 CPU: {speed} images a second", n) for n in lines)
        assert any(re.match(rf"Pilot    2 CPU: {speed}, 2 at once [\d,]+ im", n) for n in lines)
        assert lines[-1] == "Pilot    a run gets 1 CPU", "two CPUs fit on one node of three alone"

    def test_what_no_node_has_is_said_at_once(self) -> None:
        with pytest.raises(UsageError, match="64 CPU, and no node of the Ray cluster has that"):
            ours.EXECUTOR.make(self.request("cpus=64"))
        with pytest.raises(UsageError, match=r"1 CPU and 0\.5 GPU, and no node"):
            ours.EXECUTOR.make(self.request("gpus=0.5"))

    def test_another_version_on_a_node_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ours, "__version__", "0.0.1")
        with pytest.raises(UsageError, match=r"and this is 0\.0\.1; install the same version"):
            ours.EXECUTOR.make(self.request(""))

    def test_a_folder_that_nodes_do_not_see_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ours, "_write_mark", lambda mark, token: None)
        with pytest.raises(UsageError, match="does not see the study's folder"):
            ours.EXECUTOR.make(self.request(""))


def test_an_address_without_a_cluster_is_one_sentence() -> None:
    with pytest.raises(UsageError, match=r"no Ray cluster to be reached at 127\.0\.0\.1:1 "):
        ours._connect(ours._import_ray(), "127.0.0.1:1")
