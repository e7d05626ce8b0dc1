"""Runs as tasks of a Ray cluster: https://docs.ray.io (Moritz and others, OSDI 2018).

Ray chooses places by `num_cpus` and `num_gpus`, shares of a GPU too, and begins a task anew whose
machine is lost; that task goes on from the last epoch in the run's records. Every node must see the
study's folder under the same path and have the same version of normlab: both are asked for on every
node before anything is handed in, since Ray itself would wait or fail run by run.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from normlab._version import __version__
from normlab.errors import MissingExtraError, StorageError, UsageError
from normlab.study.executors.base import ExecutorInfo, ExecutorRequest
from normlab.study.executors.options import read_options
from normlab.study.executors.ray_pilot import Share, measured_share
from normlab.study.executors.remote import Answer, RemoteExecutor, answer_job, placed
from normlab.study.job import Job, make_job
from normlab.train.interrupt import StopRequest

RETRIES = 3
"""Times that Ray begins a task anew whose machine or process was lost."""
CONNECT_SECONDS = 10
NODE_SECONDS = 300
"""Seconds in which every node must have answered that it can be used: some import from a file
system that is slow, or are busy."""
SLOW_SECONDS = 15
"""Seconds after which it is said that a node is waited for."""
CLOCK_SECONDS = 5.0
"""Clocks that differ by more are said: ages of leases are compared between machines."""
ENVIRONMENT = ("PYTHONPATH", "OMP_NUM_THREADS")
"""What workers get of this process's environment, beside all that begins with NORMLAB_."""


Pilot = Callable[[ModuleType, list[dict[str, Any]], dict[str, Any]], Share]
"""Finds a share on these nodes, with tasks in such a runtime environment."""


class RayEngine:
    """One task a run."""

    def __init__(
        self,
        study: Path,
        address: str,
        share: Share,
        tasks: int | None,
        pilot: Pilot | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Connect, and see that every node can be used; a `pilot` may find a better share.

        Raises:
            MissingExtraError: Ray is not installed.
            UsageError: there is no cluster at the address; no node has room for a run; one of them
                does not see the study or has another version of normlab.
        """
        self._ray = _import_ray()
        self.share = share
        self._tasks = tasks
        self._is_ours = not self._ray.is_initialized()
        self._environment = {"env_vars": _environment()}
        if self._is_ours:
            _connect(self._ray, address)
        try:
            self._check_room()
            nodes = self._answering_nodes(study, say)
            if pilot is not None and nodes:
                self.share = pilot(self._ray, nodes, self._environment)
        except BaseException:
            self.close()
            raise
        self._task = self._ray.remote(_make_run)

    @property
    def capacity(self) -> int:
        """Runs that fit the nodes which are there now; the number that was asked for, if any."""
        if self._tasks is not None:
            return self._tasks
        return max(1, sum(self.share.places(node["Resources"]) for node in self._nodes()))

    def start(self, jobs: Sequence[Job]) -> list[Any]:
        """A task for every job, under the name of its run."""
        return [
            self._task.options(
                num_cpus=self.share.cpus,
                num_gpus=self.share.gpus,
                max_retries=RETRIES,
                name=job.spec.folder_name,
                runtime_env=self._environment,
            ).remote(job.to_json())
            for job in jobs
        ]

    def ended(self, handles: Sequence[Any]) -> dict[Any, Answer]:
        """What tasks gave back; why Ray gave up the others."""
        if not handles:
            return {}
        done, _ = self._ray.wait(list(handles), num_returns=len(handles), timeout=0)
        return {handle: self._answer(handle) for handle in done}

    def stop(self, handles: Sequence[Any]) -> None:
        """Ray raises SIGINT in the processes, which they hear as everywhere."""
        for handle in handles:
            with suppress(self._ray.exceptions.RayError):
                self._ray.cancel(handle, force=False)

    def close(self) -> None:
        """Leave the cluster, whose workers end; one that was begun here ends with it."""
        if self._is_ours:
            self._ray.shutdown()

    def _answer(self, handle: Any) -> Answer:
        try:
            answer = self._ray.get(handle)
        except self._ray.exceptions.RayError as error:
            return Answer(next(iter(str(error).splitlines()), type(error).__name__))
        assert isinstance(answer, Answer)
        return answer

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in self._ray.nodes() if node["Alive"]]

    def _usable_nodes(self) -> list[dict[str, Any]]:
        return [node for node in self._nodes() if self.share.places(node["Resources"])]

    def _check_room(self) -> None:
        """Ray would wait for ever, in case that a larger node comes."""
        if self._tasks is not None or self._usable_nodes():
            return
        nodes = [node["Resources"] for node in self._nodes()]
        have = "; ".join(f"{n.get('CPU', 0):g} CPU, {n.get('GPU', 0):g} GPU" for n in nodes)
        raise UsageError(
            f"a run needs {self.share}, and no node of the Ray cluster has that ({have}); ask for "
            "less, as in --executor ray:cpus=1, or say tasks=N where nodes will be added"
        )

    def _answering_nodes(self, study: Path, say: Callable[[str], None]) -> list[dict[str, Any]]:
        """Ask every node that can get a run; one that was lost meanwhile is left out."""
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        token = uuid.uuid4().hex
        mark = study / f".ray-{token}"
        _write_mark(mark, token)
        since = time.time()
        try:
            asked = {
                self._ray.remote(_look)
                .options(
                    num_cpus=0,
                    max_retries=0,
                    runtime_env=self._environment,
                    scheduling_strategy=strategy(node["NodeID"], soft=False),
                )
                .remote(str(mark)): node
                for node in self._usable_nodes()
            }
            waiting = list(asked)
            if waiting:
                waiting = self._still_out(waiting, SLOW_SECONDS)
            if waiting:
                say(f"Nodes    waiting for {len(waiting)} of {len(asked)} to answer")
                waiting = self._still_out(waiting, NODE_SECONDS - SLOW_SECONDS)
            if waiting:
                raise UsageError(
                    f"the Ray node {_name(asked[waiting[0]])} did not answer in {NODE_SECONDS} s; "
                    "look at it with `ray status`, or remove it"
                )
            return [
                node
                for handle, node in asked.items()
                if self._is_usable(handle, _name(node), token, since, say)
            ]
        finally:
            mark.unlink(missing_ok=True)

    def _still_out(self, handles: list[Any], seconds: float) -> list[Any]:
        """Those that have not ended after so many seconds."""
        _, out = self._ray.wait(handles, num_returns=len(handles), timeout=seconds)
        return list(out)

    def _is_usable(
        self, handle: Any, node: str, token: str, since: float, say: Callable[[str], None]
    ) -> bool:
        """Whether a node is there; raises a UsageError where it is, and cannot be used."""
        lost = (self._ray.exceptions.TaskUnschedulableError, self._ray.exceptions.NodeDiedError)
        try:
            version, seen, clock = self._ray.get(handle)
        except lost:  # Ray lists a node as alive for some seconds after it was lost
            say(f"Nodes    {node} is gone, and gets no run")
            return False
        except self._ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            raise UsageError(
                f"normlab cannot be used on the Ray node {node} ({reason}); install the same "
                "version there"
            ) from None
        if version != __version__:
            raise UsageError(
                f"the Ray node {node} has normlab {version}, and this is {__version__}; install "
                "the same version on both"
            )
        if seen != token:
            raise UsageError(
                f"the Ray node {node} does not see the study's folder; put the study on a file "
                "system that all nodes share under the same path, with --out"
            )
        # it answered at some time since it was asked: others may have been waited for
        off = clock - min(max(clock, since), time.time())
        if abs(off) > CLOCK_SECONDS:
            say(f"Clock    of {node} is {off:+.0f} s off; set the clocks by NTP")
        return True


def _make_run(text: str) -> Answer:
    """In a worker of Ray: the run of a job."""
    with StopRequest().listening() as stop:
        return answer_job(text, lambda images: stop.check())


def _look(mark: str) -> tuple[str, str, float]:
    """In a worker of Ray: the version, what is in a file of the study's folder, the time."""
    path = Path(mark)
    seen = path.read_text(encoding="ascii") if path.exists() else ""
    return __version__, seen, time.time()


def _write_mark(mark: Path, token: str) -> None:
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(token, encoding="ascii")
    except OSError as error:
        raise StorageError(f"cannot write to {mark.parent}: {error.strerror or error}") from error


def _name(node: dict[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeID'][:8]})"


def _environment() -> dict[str, str]:
    chosen = {
        name: value
        for name, value in os.environ.items()
        if name in ENVIRONMENT or name.startswith("NORMLAB_")
    }
    # Ray sets it to the number of CPUs of the task otherwise; the job's threads are set by torch.
    return {"OMP_NUM_THREADS": "1", **chosen}


def _import_ray() -> ModuleType:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    try:
        import ray
        import ray.exceptions
        import ray.util.scheduling_strategies
    except ImportError:
        raise MissingExtraError("Ray", "ray") from None
    loaded: ModuleType = ray  # unknown to mypy where Ray is not installed
    return loaded


def _connect(ray: ModuleType, address: str) -> None:
    _check_reachable(address)  # Ray itself goes on trying for minutes
    try:
        with _handlers_kept():
            ray.init(
                address=address or None,
                log_to_driver=False,
                configure_logging=False,
                logging_level="ERROR",
            )
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise _no_cluster(address or "this machine", reason) from None


def _check_reachable(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return  # "auto", or a name that Ray knows
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, str(error)) from None


def _no_cluster(place: str, reason: str) -> UsageError:
    return UsageError(
        f"there is no Ray cluster to be reached at {place} ({reason}); start one with `ray start "
        "--head`, or leave the address out to use this machine"
    )


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself when it connects."""
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM) if is_main else None
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _make(request: ExecutorRequest) -> RemoteExecutor[Any]:
    kinds = {"address": str, "cpus": float, "gpus": float, "tasks": int}
    options = read_options("ray", request.options, kinds, auto=("cpus", "gpus"))
    tasks = options.get("tasks", request.jobs if (request.jobs or 1) > 1 else None)
    study = request.study.resolve()
    named = [options[name] for name in ("cpus", "gpus") if name in options]

    def pilot(ray: ModuleType, nodes: list[dict[str, Any]], environment: dict[str, Any]) -> Share:
        if not named and not any(node["Resources"].get("GPU") for node in nodes):
            return Share()  # a thread a run does most where there are more runs than CPUs
        job = make_job(study, request.missing[0], request.settings)
        found = measured_share(ray, nodes, job, len(request.missing), environment, request.say)
        return replace(found, **{n: options[n] for n in ("cpus", "gpus") if options.get(n)})

    measures = not named or None in named
    engine = RayEngine(
        study,
        options.get("address", ""),
        Share() if measures else Share(options.get("cpus", 1.0), options.get("gpus", 0.0)),
        tasks,
        pilot if measures and request.missing else None,
        request.say,
    )
    device = "cuda" if engine.share.gpus else "cpu"  # Ray shows a task only what it may use
    threads = max(1, int(engine.share.cpus))
    return RemoteExecutor(engine, lambda job: placed(job, device=device, threads=threads))


EXECUTOR = ExecutorInfo(
    "ray",
    "Tasks of a Ray cluster, which finds places and survives lost machines (extra ray).",
    "[ADDRESS][,cpus=1|auto][,gpus=0.25|auto][,tasks=N]",
    _make,
    elsewhere=True,
)
