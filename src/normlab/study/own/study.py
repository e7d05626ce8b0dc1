"""A study over a training of the user's own, on disk like any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from pathlib import Path

import torch

from normlab.errors import PlanError
from normlab.records.lease import lease_owner
from normlab.records.network import OWN_TRAINING, own_metric
from normlab.records.plan import StudyPlan, parse_plan
from normlab.records.run import Outcome, RunSpec
from normlab.study.check import check_folder
from normlab.study.design.freeze import freeze, with_rules
from normlab.study.design.runs import plan_runs
from normlab.study.executors.base import Event, Held
from normlab.study.folder import run_folder
from normlab.study.job import Job, JobSettings
from normlab.study.own.training import MakeNetwork, OwnTraining, Train, check, name_of
from normlab.study.scheduler import run_study
from normlab.study.study import Study

DEFAULT_NORMS = ("keep", "bn", "gn:groups=8~")


class OwnStudy(Study):
    """A study whose runs are calls of `train(network, block)`; see `own_study`."""

    training: OwnTraining

    def run(  # type: ignore[override]  # there are no data to give
        self, *, may_start: Callable[[RunSpec], bool] = lambda spec: True
    ) -> Iterator[tuple[RunSpec, Outcome]]:
        """Make the runs that are missing, one after the other, yielding how each ended.

        Ctrl-C ends the run in hand as interrupted; it is made anew the next time. After the last
        run, and at every stop, the study can be asked and reported.

        Args:
            may_start: asked before every run; False ends the sitting.

        Raises:
            PlanError: another process is running the study.
            StorageError: the folder cannot be written.
        """
        settings = JobSettings(source=self.plan.data.source, threads=torch.get_num_threads())
        executor = OwnExecutor(self.training)
        for spec, event in run_study(self, executor, settings, may_start=may_start):
            if isinstance(event, Outcome):
                yield spec, event


class OwnExecutor:
    """One call after the other, in this process; see normlab.study.executors.base.Executor."""

    capacity = 1

    def __init__(self, training: OwnTraining) -> None:
        """With the user's functions."""
        self._training = training
        self._job: Job | None = None

    @property
    def in_hand(self) -> Set[str]:
        """The one run, if there is one."""
        return set() if self._job is None else {self._job.spec.id}

    def submit(self, job: Job) -> None:
        """Take a job; it is done when events are asked for."""
        self._job = job

    def events(self, timeout: float) -> list[Event]:
        """How the run ended; it takes as long as that takes."""
        if self._job is None:
            return []
        job, self._job = self._job, None
        folder = run_folder(job.study, job.spec)
        outcome = self._training.run(job.spec, folder)
        if outcome is None:
            return [(job.spec, Held(str(lease_owner(folder.path) or "another process")))]
        return [(job.spec, outcome)]

    def cancel(self) -> None:
        """Nothing is in hand between two calls."""

    def close(self) -> None:
        """Nothing is held."""


def own_study(
    folder: str | Path,
    train: Train,
    make_network: MakeNetwork,
    *,
    metric: str,
    norms: Sequence[str] = DEFAULT_NORMS,
    blocks: int = 5,
    reference: str = "",
    margin: float = 0.01,
    alpha: float = 0.05,
    seed: int = 0,
    partial: bool = False,
) -> OwnStudy:
    """A controlled comparison of norms in a training of your own, begun or gone on with.

    In every block, every arm's network is made by `make_network()` under the block's random
    numbers, its norms are replaced (see `convert_norms`; the arm `keep` leaves them), and
    `train(network, block)` trains it and gives its figures on held-out data. Differences are taken
    block by block; after the third block and each later one the study is judged, and arms that have
    lost are left out.

    Args:
        folder: of the study; an equal study in it is gone on with.
        train: called as train(network, block); see `normlab.study.own.training.Block`. It gives the
            metric, a share in [0, 1] where larger is better, or several figures by name.
        make_network: called without arguments, under the block's random numbers.
        metric: the name of the figure that decides, such as "dice".
        norms: the arms: spec strings, and `keep`.
        blocks: repeats of every arm, each with its own random numbers.
        reference: the arm that the others are set against; by default `bn`, or the first one.
        margin: differences inside ± margin are practically equal.
        alpha: the chance of a false decision.
        seed: the root of all random numbers.
        partial: whether norms that cannot be converted may stay in all arms.

    Returns:
        The study: `run()` makes what is missing; `verdict`, `best` and `table()` say what can be
        said, and so does the page that `normlab report FOLDER` writes.

    Raises:
        PlanError: the folder holds another study; a value that no plan can have.
        UsageError: a norm that cannot be in this network.
    """
    training = OwnTraining(train, make_network, partial)
    chosen = own_metric(metric)
    plan = parse_plan(
        {
            "name": Path(folder).resolve().name,
            "seed": seed,
            "blocks": blocks,
            "data": {"source": f"own:{name_of(train)}"},
            "factors": {"norm": list(norms)},
            "training": {
                "network": {
                    "name": OWN_TRAINING,
                    "options": {
                        "training": name_of(train),
                        "network": name_of(make_network),
                        "code": training.code(),
                        "metric": chosen,
                    },
                }
            },
            "analysis": {
                "reference": reference,
                "metric": chosen,
                "margin": margin,
                "alpha": alpha,
            },
        },
        "own_study",
    )
    study = _bound(Path(folder), plan)
    study.training = training
    for spec in plan_runs(study.plan.model_copy(update={"blocks": 1})):
        check(training, spec)
    study.save()
    return study


def _bound(folder: Path, plan: StudyPlan) -> OwnStudy:
    """The study in the folder, where it is this one; else a new one."""
    begun = (folder / "study.toml").exists()
    frozen = freeze(with_rules(plan, None), plan.data.source, ("own",))
    if not begun:
        check_folder(folder, plan.data.source)
        return OwnStudy(folder, frozen)
    there = Study.open(folder).plan
    assert there.frozen is not None
    assert frozen.frozen is not None
    if there.frozen.hash != frozen.frozen.hash:
        own, other = (p.training.network.options.get("code") for p in (frozen, there))
        changed = "the source of train or make_network" if own != other else "what it compares"
        raise PlanError(
            f"{folder} holds a study with another plan ({changed} has changed); undo that, or "
            "choose another folder"
        )
    blocks = max(plan.blocks, there.blocks)
    return OwnStudy(folder, there.model_copy(update={"blocks": blocks}))
