"""MLflow: an experiment a study, its runs nested below one that holds the verdict."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from normlab.errors import UsageError
from normlab.trackers.base import Ending, Metrics, TrackedRun, TrackerInfo, TrackerRequest

STATUS = {"finished": "FINISHED", "failed": "FAILED", "stopped": "KILLED"}
SERVERS = ("http", "https")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
AT_ONCE = 800
"""Metrics in a request; MLflow takes 1,000."""
_NOT_IN_NAMES = re.compile(r"[^\w\-. :/]")


class MLflowTracker:
    """A client of a tracking server, or of a database that plays one."""

    def __init__(self, request: TrackerRequest) -> None:
        """Find the study's experiment, or make it.

        Raises:
            Exception: whatever the client raises where nothing answers.
        """
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # the sender tries again
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        from mlflow.tracking import MlflowClient

        uri = _uri(request)
        if uri == _own_database(request):
            request.folder.mkdir(parents=True, exist_ok=True)
        self._client = MlflowClient(tracking_uri=uri)
        found = self._client.get_experiment_by_name(request.name)
        files = None if urlsplit(uri).scheme in SERVERS else _files(request)
        self._experiment = (
            found.experiment_id
            if found is not None
            else self._client.create_experiment(request.name, artifact_location=files)
        )

    def begin(self, run: TrackedRun, known: str | None, parent: str | None) -> str:
        """A run below its parent, with parameters and tags."""
        if known is not None:
            self._client.update_run(known, status="RUNNING")
            return known
        tags = {**run.tags, "group": run.group, "kind": run.kind}
        if parent is not None:
            tags["mlflow.parentRunId"] = parent
        made = self._client.create_run(self._experiment, tags=tags, run_name=run.name)
        name = str(made.info.run_id)
        from mlflow.entities import Param

        self._client.log_batch(name, params=[Param(k, str(v)) for k, v in run.parameters.items()])
        return name

    def log(self, run: str, rows: Sequence[tuple[int, Metrics]]) -> None:
        """The epochs' metrics, some hundred a request."""
        found = [one for step, metrics in rows for one in _metrics(metrics, step)]
        for start in range(0, len(found), AT_ONCE):
            self._client.log_batch(run, metrics=found[start : start + AT_ONCE])

    def end(self, run: str, ending: Ending) -> None:
        """Its last metrics, tags, files and status."""
        text = {"mlflow.note.content": ending.text} if ending.text else {}
        last = max(int(ending.metrics.get("reported/epoch", 0)), 0)
        self._client.log_batch(
            run, metrics=_metrics(ending.metrics, last), tags=_tags({**ending.tags, **text})
        )
        for path in ending.files:
            folder = "figures" if path.suffix == ".png" else None
            self._client.log_artifact(run, str(path), folder)
        self._client.set_terminated(run, STATUS[ending.status])

    def tag(self, run: str, tags: Mapping[str, str]) -> None:
        """Further tags."""
        self._client.log_batch(run, tags=_tags(tags))

    def close(self) -> None:
        """Nothing is held back."""


def _metrics(metrics: Metrics, step: int) -> list[Any]:
    from mlflow.entities import Metric

    now = int(1000 * time.time())
    return [Metric(_NOT_IN_NAMES.sub("-", k), v, now, step) for k, v in metrics.items()]


def _tags(tags: Mapping[str, str]) -> list[Any]:
    from mlflow.entities import RunTag

    return [RunTag(_NOT_IN_NAMES.sub("-", name), value) for name, value in tags.items()]


def _check(options: str) -> None:
    """Raise a UsageError unless the options are an address or a database."""
    if not options:
        return
    found = urlsplit(options)
    scheme = found.scheme.partition("+")[0]
    named = found.hostname if scheme in SERVERS else found.path
    if scheme not in (*SERVERS, *DATABASES) or not named:
        raise UsageError(
            "mlflow takes the address of a server or a database, mlflow:http://127.0.0.1:5000 or "
            f"mlflow:sqlite:///runs.db; got {options!r}"
        )
    if found.password:
        raise UsageError(
            "a password in mlflow's address would be written into study.toml; leave it out, and "
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )


def _uri(request: TrackerRequest) -> str:
    named = request.options or os.environ.get("MLFLOW_TRACKING_URI", "")
    return named or _own_database(request)


def _own_database(request: TrackerRequest) -> str:
    return f"sqlite:///{(request.folder / 'mlflow.db').resolve()}"


def _files(request: TrackerRequest) -> str:
    """Where a database leaves files: beside it, or beside the study where it is elsewhere."""
    uri = _uri(request)
    beside = Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None
    folder = request.folder / "mlflow-files" if beside is None else beside.parent / "mlflow-files"
    return folder.resolve().as_uri()


def _where(request: TrackerRequest) -> str:
    uri = _uri(request)
    if urlsplit(uri).scheme in SERVERS:
        return f"{uri}, experiment {request.name}"
    return f"look: mlflow ui --backend-store-uri {uri}"


TRACKER = TrackerInfo(
    "mlflow",
    "MLflow: a server, or a database file; by default one in the study's folder.",
    "URI of a server or database",
    ("mlflow", "sqlalchemy", "alembic"),
    "mlflow",
    MLflowTracker,
    _check,
    _where,
)
