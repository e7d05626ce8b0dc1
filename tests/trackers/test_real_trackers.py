"""The contract with the real MLflow, W&B and TensorBoard, each read back by its own reader."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from normlab.testing.tracker_contract import ReadBack, TrackerContract
from normlab.trackers.base import Tracker, TrackerRequest
from normlab.trackers.mlflow import MLflowTracker
from normlab.trackers.tensorboard import TensorBoardTracker
from normlab.trackers.wandb import WandbTracker

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _their_own_warnings(monkeypatch: pytest.MonkeyPatch):
    for name in ("MLFLOW_TRACKING_URI", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


BLOCK = 32768
WHOLE, FIRST, LAST = 1, 2, 4
SECONDS = 30


def records(content: bytes) -> Iterator[bytes]:
    """The records of W&B's file, which is a log of LevelDB after seven bytes of its own."""
    at, parts = 7, b""
    while at + 7 <= len(content):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        if at + 7 + length > len(content):
            return  # it is being written
        parts = (b"" if kind in (WHOLE, FIRST) else parts) + content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (WHOLE, LAST):
            yield parts


class TestMLflow(TrackerContract):
    def make(self, request: TrackerRequest) -> Tracker:
        for module in ("mlflow", "sqlalchemy", "alembic"):
            pytest.importorskip(module)
        return MLflowTracker(request)

    def read(self, request: TrackerRequest, name: str) -> ReadBack:
        from mlflow.tracking import MlflowClient

        client = MlflowClient(f"sqlite:///{(request.folder / 'mlflow.db').resolve()}")
        run = client.get_run(name)
        names = run.data.metrics
        metrics = {k: {m.step: m.value for m in client.get_metric_history(name, k)} for k in names}
        return ReadBack(metrics, run.data.params, f"{run.data.tags} {run.info.status}")


class TestTensorBoard(TrackerContract):
    def make(self, request: TrackerRequest) -> Tracker:
        pytest.importorskip("tensorboard")
        return TensorBoardTracker(request)

    def read(self, request: TrackerRequest, name: str) -> ReadBack:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

        found = EventAccumulator(str(request.folder / "tensorboard" / name))
        found.Reload()
        tags = found.Tags()
        metrics = {k: {e.step: e.value for e in found.Scalars(k)} for k in tags["scalars"]}
        content = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        start = HParamsPluginData.FromString(content).session_start_info
        texts = [t for tag in tags["tensors"] for e in found.Tensors(tag)
                 for t in e.tensor_proto.string_val]  # fmt: skip
        return ReadBack(metrics, {k: str(v) for k, v in start.hparams.items()}, str(texts))


def ended(path: Path) -> list[Any]:
    """W&B's records of a run that ended; its service writes the last of them after `finish`."""
    from wandb.proto.wandb_internal_pb2 import Record

    for _ in range(20 * SECONDS):
        found = [Record.FromString(data) for data in records(path.read_bytes())]
        if found and found[-1].HasField("exit"):
            return found
        time.sleep(0.05)
    raise AssertionError(f"{path} has no end after {SECONDS} s")


class TestWandb(TrackerContract):
    def make(self, request: TrackerRequest) -> Tracker:
        pytest.importorskip("wandb")
        return WandbTracker(request)

    def read(self, request: TrackerRequest, name: str) -> ReadBack:
        metrics: dict[str, dict[int, float]] = {}
        parameters, text = {}, ""
        # Begun twice within a second, the second folder's name ends in -1.
        for path in sorted((request.folder / "wandb").glob(f"offline-run-*-{name}*/*.wandb")):
            for record in ended(path):
                text += str(record.exit) + str(record.summary) + str(record.run)
                for item in record.run.config.update:
                    parameters[item.key or item.nested_key[0]] = item.value_json
                row = {(i.key or i.nested_key[0]): json.loads(i.value_json)
                       for i in record.history.item}  # fmt: skip
                for key, value in row.items():
                    metrics.setdefault(key, {})[int(row.get("_step", 0))] = value
                for item in record.summary.update:
                    key = item.key or "/".join(item.nested_key)
                    if key == "test/accuracy":
                        metrics.setdefault(key, {})[0] = json.loads(item.value_json)
        return ReadBack(metrics, parameters, text)
