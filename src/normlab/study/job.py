"""A run as something to be done, by any process on any machine that sees the study's folder.

    python -m normlab.study.job JOB.json
    torchrun --nproc-per-node 2 -m normlab.study.job JOB.json     # a run of two ranks, by one's own

What a job did is in the run's records; nothing else is handed back. The exit code is 0 where the
run is final, 1 where it failed, 3 where it is not finished: somebody asked to stop (SIGINT,
SIGTERM, SIGUSR1), the time was over, or another process has it in hand. The same job again goes on.
A rank's exit code is 0, however the run ended.

Whatever takes long to import is imported inside of functions: signals are heard before.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.errors import InterruptedRunError, NormlabError, UsageError
from normlab.study.ranks import end_with_input, rows_of_ranks
from normlab.train.interrupt import StopRequest
from normlab.train.step_mode import DEFAULT_STEPS, StepMode

if TYPE_CHECKING:
    from normlab.data.dataset import Dataset
    from normlab.records.run import EpochRow, Outcome, RunSpec

NOT_FINISHED = 3


@dataclass(frozen=True)
class JobSettings:
    """What all jobs of a study have in common."""

    source: str
    """Where the images are."""
    device: str = "cpu"
    threads: int = 1
    """Threads of the CPU; rows of a run depend on them, in their last digits."""
    steps: StepMode = DEFAULT_STEPS
    deterministic: bool = False
    """Only algorithms that give the same bits every time."""
    plugins: tuple[str, ...] = ()
    """Modules that the process imports first."""
    stop_at: float | None = None
    """Seconds since 1970 at which the job stops in order, if it has not ended."""

    def as_data(self) -> dict[str, Any]:
        """The settings as plain data, for JSON; `read_settings` is the way back."""
        return {**vars(self), "steps": vars(self.steps), "plugins": list(self.plugins)}


@dataclass(frozen=True)
class Job:
    """One run of a study, and how to make it; JSON both ways."""

    study: Path
    """The folder, which the process must see under the same path."""
    spec: RunSpec
    evaluate_test: bool
    """Whether the test part is read: not by runs that serve tuning."""
    settings: JobSettings

    def to_json(self) -> str:
        """The job as text."""
        content = {
            "study": str(self.study),
            "spec": self.spec.model_dump(mode="json"),
            "evaluate_test": self.evaluate_test,
            "settings": self.settings.as_data(),
        }
        return json.dumps(content, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Read what `to_json` wrote.

        Raises:
            UsageError: it is no job, or one of another version of normlab.
        """
        from normlab.records.run import RunSpec

        try:
            content = json.loads(text)
            job = cls(
                study=Path(content["study"]),
                spec=RunSpec.model_validate(content["spec"]),
                evaluate_test=bool(content["evaluate_test"]),
                settings=read_settings(content["settings"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"this is no job of this version of normlab: {reason}") from None
        return job


def read_settings(content: dict[str, Any]) -> JobSettings:
    """Settings out of plain data; raises TypeError or KeyError where they are none."""
    special = {"steps": StepMode(**content["steps"]), "plugins": tuple(content["plugins"])}
    return JobSettings(**{**content, **special})


def make_job(study: Path, spec: RunSpec, settings: JobSettings) -> Job:
    """The job of a study's run."""
    return Job(study.resolve(), spec, evaluate_test=not spec.is_tuning, settings=settings)


def job_rows(
    job: Job, *, dataset: Dataset | None = None, on_batch: Callable[[int], None] | None = None
) -> Iterator[EpochRow]:
    """Make the run in this process, yielding the rows of newly finished epochs.

    Nothing is done, and nothing loaded, where the run is final or another process has it in hand.
    Without a `dataset` the study's own is loaded.

    Raises:
        InterruptedRunError: somebody asked to stop before there was anything to store.
        StorageError: the folder cannot be written.
        UsageError: the data are not those of the study; a plugin cannot be imported.
    """
    from normlab.plugins import import_plugins
    from normlab.records.lease import lease_owner
    from normlab.study.folder import run_folder

    check = _in_time(job, on_batch or _ignore)
    folder = run_folder(job.study, job.spec)
    before = folder.read_outcome()
    if (before is not None and before.is_final) or lease_owner(folder.path) is not None:
        return
    check(0)
    if job.spec.ranks > 1:
        text, ranks = job.to_json(), job.spec.ranks
        threads = max(1, job.settings.threads // ranks)
        error = yield from rows_of_ranks(text, folder, ranks, threads, check)
        if error:
            record_failure(job, error)
        return
    import_plugins(job.settings.plugins)
    from normlab.data.load import block_data
    from normlab.train.execute import execute

    dataset = dataset or study_data(job.study, job.settings.source)
    check(0)
    data = block_data(dataset, job.spec, job.settings.device)
    yield from execute(
        job.spec,
        data,
        folder,
        device=job.settings.device,
        on_batch=check,
        evaluate_test=job.evaluate_test,
        steps=job.settings.steps,
    )


def _in_time(job: Job, check: Callable[[int], None]) -> Callable[[int], None]:
    """`check`, and whether the job's time is over."""

    def checked(images: int) -> None:
        check(images)
        if job.settings.stop_at is not None and time.time() >= job.settings.stop_at:
            raise InterruptedRunError("its time is over; the run goes on with the next job")

    return checked


@functools.lru_cache(maxsize=1)
def study_data(study: Path, source: str) -> Dataset:
    """The data of a study, loaded once by a process that makes several of its runs.

    Raises:
        UsageError: they are not there, or not those of the study.
    """
    from normlab.records.plan import read_plan
    from normlab.study.folder import load_study_data

    return load_study_data(study, read_plan(study / "study.toml"), source)


def be_a_rank(job: Job, check: Callable[[int], None]) -> None:
    """Train the job's run together with the other ranks that torchrun has started.

    Raises:
        InterruptedRunError: a rank was asked to stop, or was lost.
        UsageError: the ranks cannot meet; this one has no GPU; the data cannot be used.
    """
    from normlab.data.load import block_data
    from normlab.study.folder import run_folder
    from normlab.train.execute import execute
    from normlab.train.ranks import Ranks, follow, group_of_ranks

    job = replace(job, settings=_placed_as_rank(job.settings, job.spec.ranks))
    prepare_process(job.settings)
    dataset = study_data(job.study, job.settings.source)
    folder, device = run_folder(job.study, job.spec), job.settings.device
    data = block_data(dataset, job.spec, device)
    with group_of_ranks(device):
        check = _in_time(job, check)
        ranks = Ranks(job.spec, check)
        if ranks.rank > 0:
            follow(job.spec, data, folder, device, ranks)
            return
        for _ in execute(
            job.spec, data, folder, device=device, on_batch=check,
            evaluate_test=job.evaluate_test, ranks=ranks,
        ):  # fmt: skip
            pass


def _placed_as_rank(settings: JobSettings, ranks: int) -> JobSettings:
    """The settings of this rank: its GPU, and its share of the threads.

    Raises:
        UsageError: there are fewer GPUs than ranks.
    """
    import torch

    settings = replace(settings, threads=max(1, settings.threads // ranks))
    if not settings.device.startswith("cuda"):
        return settings
    place = int(os.environ.get("LOCAL_RANK", "0"))
    if place >= torch.cuda.device_count():
        raise UsageError(
            f"rank {place + 1} of this machine has no GPU of its own, since there are "
            f"{torch.cuda.device_count()}; choose fewer --ranks, or --device cpu"
        )
    torch.cuda.set_device(place)
    return replace(settings, device=f"cuda:{place}")


def run_job(
    job: Job, *, dataset: Dataset | None = None, on_batch: Callable[[int], None] | None = None
) -> Outcome | None:
    """Make the run to its end; its outcome, or None where another process has it in hand.

    See `job_rows`, which this consumes, for what is raised.
    """
    from normlab.records.lease import lease_owner
    from normlab.study.folder import run_folder

    for _ in job_rows(job, dataset=dataset, on_batch=on_batch):
        pass
    folder = run_folder(job.study, job.spec)
    return folder.read_outcome() if lease_owner(folder.path) is None else None


def record_failure(job: Job, error: str) -> Outcome:
    """Call a run failed whose process or engine could not make it; written unless somebody has it.

    Where the error says so, it ran out of memory.

    Raises:
        StorageError: the folder cannot be written.
    """
    from normlab.memory import failure
    from normlab.records.run import Outcome
    from normlab.study.folder import run_folder

    folder = run_folder(job.study, job.spec)
    status, sentence = failure(error)
    failed = Outcome(status=status, epochs=len(folder.read_rows()), error=sentence)
    with folder.leased() as is_ours:
        if is_ours:
            folder.write_outcome(failed)
    return failed


def prepare_process(settings: JobSettings) -> None:
    """Set this process up for jobs: threads, memory, algorithms, plugins.

    Raises:
        PluginError: a plugin cannot be imported.
    """
    import torch

    from normlab.norms.fused.cpu.memory import keep_freed_memory
    from normlab.plugins import import_plugins

    torch.set_num_threads(settings.threads)
    if settings.deterministic:
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
    import_plugins(settings.plugins)
    keep_freed_memory()


def main() -> int:
    """Make the run that a file describes; see the top of this module."""
    with StopRequest().listening() as stop:
        if len(sys.argv) != 2:
            return _refuse("usage: python -m normlab.study.job JOB.json")
        try:
            job = Job.from_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
            if job.spec.ranks > 1 and "TORCHELASTIC_RUN_ID" in os.environ:
                end_with_input(stop)
                with suppress(InterruptedRunError):
                    be_a_rank(job, lambda images: stop.check())
                return 0
            stop.check()
            prepare_process(job.settings)
            outcome = run_job(job, on_batch=lambda images: stop.check())
        except InterruptedRunError:
            return NOT_FINISHED
        except (NormlabError, OSError) as error:
            return _refuse(str(error))
    if outcome is None or outcome.status == "interrupted":
        return NOT_FINISHED
    return 0 if outcome.is_final else 1


def _ignore(images: int) -> None:
    pass


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"normlab: {sentence}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
