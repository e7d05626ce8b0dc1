"""What of a Ray node a run gets, where nobody says it: measured on a node of every kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from normlab.study.executors.pilot import Measured, as_words, best_share, measure_places
from normlab.study.executors.remote import placed
from normlab.study.job import Job

PILOT_SECONDS = 240
"""Seconds in which a pilot must have ended: its node may be busy with the work of others."""
MAX_CPUS = 4
"""CPUs of a run on a GPU, which decode and prepare its batches."""


@dataclass(frozen=True)
class Share:
    """What of a node one run gets."""

    cpus: float = 1
    gpus: float = 0

    def places(self, resources: dict[str, float]) -> int:
        """Runs at once on a node, or a cluster, with so much.

        >>> Share(1, 0.25).places({"CPU": 8, "GPU": 1})
        4
        """
        by_cpu = resources.get("CPU", 0) / self.cpus if self.cpus else float("inf")
        by_gpu = resources.get("GPU", 0) / self.gpus if self.gpus else float("inf")
        return int(min(by_cpu, by_gpu) + 1e-9)

    def __str__(self) -> str:
        """As Ray calls it."""
        return f"{self.cpus:g} CPU" + (f" and {self.gpus:g} GPU" if self.gpus else "")


def measured_share(
    ray: ModuleType,
    nodes: Sequence[dict[str, Any]],
    job: Job,
    runs: int,
    environment: dict[str, Any],
    say: Callable[[str], None],
) -> Share:
    """The share with which all nodes together do most, by steps measured on one of each kind.

    Where there is a GPU, the share of a GPU; else CPUs, which are the threads of a run. A kind
    whose node is busy for minutes is not waited for.

    Args:
        ray: the module, connected.
        nodes: those that can get a run.
        job: any of the study's; its steps are thrown away.
        runs: more at once are not tried.
        environment: Ray's runtime environment of the tasks.
        say: tells the user a line.
    """
    resource = "GPU" if any(node["Resources"].get("GPU") for node in nodes) else "CPU"
    kinds: dict[tuple[tuple[str, float], ...], list[dict[str, Any]]] = {}
    for node in nodes:
        if node["Resources"].get(resource):
            kinds.setdefault(_kind(node["Resources"]), []).append(node)
    asked = {}
    for alike in kinds.values():
        asked[_begin(ray, alike[0], resource, job, runs, environment)] = alike
    done, late = ray.wait(list(asked), num_returns=len(asked), timeout=PILOT_SECONDS)
    for handle in late:
        ray.cancel(handle)
        say(f"Pilot    {_named(asked[handle])}: busy for {PILOT_SECONDS} s, not measured")
    measured = []
    for handle in done:
        try:
            kind = _measured(ray.get(handle), asked[handle], resource)
        except ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            say(f"Pilot    {_named(asked[handle])}: not measured ({reason})")
            continue
        measured.append(kind)
        say(f"Pilot    {_named(asked[handle])}: {as_words(kind)}")
    share = _share(resource, measured, nodes)
    say(f"Pilot    a run gets {share}")
    return share


def _kind(resources: dict[str, float]) -> tuple[tuple[str, float], ...]:
    """Nodes are alike that have as many CPUs and GPUs, of one make."""
    counted = [(name, resources.get(name, 0.0)) for name in ("CPU", "GPU")]
    makes = [(name, 1.0) for name in sorted(resources) if name.startswith("accelerator_type:")]
    return (*counted, *makes)


def _begin(
    ray: ModuleType,
    node: dict[str, Any],
    resource: str,
    job: Job,
    runs: int,
    environment: dict[str, Any],
) -> Any:
    """Measure on a node whose CPUs, or one of whose GPUs, are free for it."""
    cpus = node["Resources"].get("CPU", 0.0)
    on_gpu = resource == "GPU"
    there = placed(job, device="cuda" if on_gpu else "cpu", threads=int(cpus) or 1)
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    options = {
        "num_cpus": 0 if on_gpu else cpus,
        "num_gpus": 1 if on_gpu else 0,
        "max_retries": 0,
        "name": "normlab pilot",
        "runtime_env": environment,
        "scheduling_strategy": strategy(node["NodeID"], soft=False),
    }
    task = ray.remote(measure_places).options(**options)
    return task.remote(there.to_json(), runs)


def _measured(
    speeds: Sequence[tuple[int, float]], alike: Sequence[dict[str, Any]], resource: str
) -> Measured:
    """Of a GPU each is a place, of CPUs each node is one."""
    if resource == "GPU":
        return Measured(1.0, int(sum(n["Resources"]["GPU"] for n in alike)), tuple(speeds))
    return Measured(alike[0]["Resources"]["CPU"], len(alike), tuple(speeds))


def _share(resource: str, kinds: Sequence[Measured], nodes: Sequence[dict[str, Any]]) -> Share:
    """What was found best; without any measurement a GPU a run, or a CPU."""
    if resource == "CPU":
        return Share(best_share(kinds) if kinds else 1.0)
    gpus = best_share(kinds) if kinds else 1.0
    with_gpus = [node["Resources"] for node in nodes if node["Resources"].get("GPU")]
    cpus = min(have.get("CPU", 0.0) / have["GPU"] * gpus for have in with_gpus)
    return Share(min(float(MAX_CPUS), int(cpus) or cpus), gpus)


def _named(alike: Sequence[dict[str, Any]]) -> str:
    """The kind of a node in words."""
    have = alike[0]["Resources"]
    gpus = f", {have['GPU']:g} GPU" if have.get("GPU") else ""
    make = next((n.partition(":")[2] for n in have if n.startswith("accelerator_type:")), "")
    number = f"{len(alike)} × " if len(alike) > 1 else ""
    return f"{number}{have.get('CPU', 0):g} CPU{gpus}{f' {make}' if make else ''}"
