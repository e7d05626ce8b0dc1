"""Weights & Biases: a project a study, its runs grouped by setting; offline without a login."""

from __future__ import annotations

import hashlib
import netrc
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from normlab.errors import UsageError
from normlab.trackers.base import Ending, Metrics, TrackedRun, TrackerInfo, TrackerRequest

_PROJECT = re.compile(r"([\w.-]{1,128}/)?[\w.-]{1,128}")
HOST = "api.wandb.ai"


class WandbTracker:
    """Runs that are open at the same time in one process."""

    def __init__(self, request: TrackerRequest) -> None:
        """Bind to a project; nothing is sent yet."""
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self._request = request
        self._init: Any = wandb.init
        entity, _, project = request.options.rpartition("/")
        self._project = {"entity": entity or None, "project": project or _safe(request.name)}
        self._facts: dict[str, TrackedRun] = {}
        self._open: dict[str, Any] = {}

    def begin(self, run: TrackedRun, known: str | None, parent: str | None) -> str:
        """A run, whose id is made of the study's and its own: begun twice, it is one run."""
        name = known or hashlib.sha256(f"{self._request.plan_hash} {run.key}".encode()).hexdigest()
        self._facts[name[:16]] = run
        self._opened(name[:16])
        return name[:16]

    def log(self, run: str, rows: Sequence[tuple[int, Metrics]]) -> None:
        """The epochs' metrics; a step is an epoch."""
        for step, metrics in rows:
            self._opened(run).log(dict(metrics), step=step)

    def end(self, run: str, ending: Ending) -> None:
        """Its summary, tags and files; then it is closed."""
        opened = self._opened(run)
        opened.summary.update({**ending.metrics, **ending.tags})
        if ending.text:
            opened.notes = ending.text
        for path in ending.files:
            opened.save(str(path), base_path=str(path.parent), policy="now")
        opened.finish(exit_code=0 if ending.status == "finished" else 1)
        del self._open[run]

    def tag(self, run: str, tags: Mapping[str, str]) -> None:
        """Nothing: each would be another run to be sent; the study's summary has the verdicts."""

    def close(self) -> None:
        """Close the runs that have not ended."""
        while self._open:
            self._open.popitem()[1].finish(exit_code=0)

    def _opened(self, run: str) -> Any:
        if run not in self._open:
            facts = self._facts.get(run)
            described: dict[str, Any] = {}
            if facts is not None:
                described = {
                    "name": facts.name,
                    "group": facts.group,
                    "job_type": facts.kind,
                    "config": {**facts.parameters, **facts.tags},
                    "tags": [tag[:64] for key, tag in facts.tags.items() if key in SHOWN and tag],
                }
            self._request.folder.mkdir(parents=True, exist_ok=True)
            self._open[run] = self._init(
                **self._project,
                **described,
                id=run,
                dir=str(self._request.folder),
                mode=mode(),
                resume="allow",
                reinit="create_new",
                settings={
                    "silent": True,
                    "console": "off",
                    "disable_git": True,
                    "save_code": False,
                    "x_disable_stats": True,
                },
            )
        return self._open[run]


SHOWN = ("norm", "setting", "purpose")
"""The facts that are tags in W&B's sense, by which runs are filtered."""


def mode() -> str:
    """Online where somebody has logged in, else offline; WANDB_MODE says otherwise."""
    named = os.environ.get("WANDB_MODE")
    if named:
        return named
    return "online" if os.environ.get("WANDB_API_KEY") or _in_netrc() else "offline"


def _in_netrc() -> bool:
    path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        return netrc.netrc(str(path)).authenticators(HOST) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)[:128] or "normlab"


def _check(options: str) -> None:
    """Raise a UsageError unless the options are a project."""
    if options and not _PROJECT.fullmatch(options):
        raise UsageError(
            f"wandb takes PROJECT or ENTITY/PROJECT, as in wandb:birds; got {options!r}"
        )


def _where(request: TrackerRequest) -> str:
    project = request.options or _safe(request.name)
    if mode() != "offline":
        return f"project {project}"
    folder = request.folder / "wandb"
    return f"project {project}, offline; send it: wandb sync {folder}/offline-run-*"


TRACKER = TrackerInfo(
    "wandb",
    "Weights & Biases; without a login offline, in the study's folder.",
    "PROJECT or ENTITY/PROJECT",
    ("wandb",),
    "wandb",
    WandbTracker,
    _check,
    _where,
)
