"""TensorBoard: a folder of events a run, below its setting; parameters for its HParams page."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from normlab.errors import UsageError
from normlab.trackers.base import Ending, Metrics, TrackedRun, TrackerInfo, TrackerRequest

SCORES = ("test/accuracy", "test/loss", "test/macro_f1", "reported/validation/accuracy")
"""The metrics beside the parameters on the HParams page."""


class TensorBoardTracker:
    """Writes event files by TensorBoard's own writer; neither torch nor TensorFlow is needed."""

    def __init__(self, request: TrackerRequest) -> None:
        """Bind to a folder; nothing is written yet."""
        self._root = _folder(request)
        self._writers: dict[str, Any] = {}

    def begin(self, run: TrackedRun, known: str | None, parent: str | None) -> str:
        """The run's folder below the log folder: setting, then arm and block."""
        name = known or (
            _safe(run.name) if parent is None else f"{_safe(run.group)}/{_safe(run.name)}"
        )
        if known is None:
            for summary in _hyperparameters(run):
                self._add(name, summary)
        return name

    def log(self, run: str, rows: Sequence[tuple[int, Metrics]]) -> None:
        """A scalar a metric and epoch."""
        for step, metrics in rows:
            self._add(run, _scalars(metrics), step)
        self._writers[run].flush()

    def end(self, run: str, ending: Ending) -> None:
        """Last scalars, and as text how it ended and the verdict; figures as images."""
        self._add(run, _scalars(ending.metrics), int(ending.metrics.get("reported/epoch", 0)))
        lines = [f"**{name}** {value}" for name, value in ending.tags.items()]
        self._add(run, _text("\n\n".join([*lines, ending.text.replace("\n", "\n\n")])))
        for path in ending.files:
            if path.suffix == ".png":
                self._add(run, _image(path))
        self._close(run)

    def tag(self, run: str, tags: Mapping[str, str]) -> None:
        """Further tags, as text."""
        for name, value in tags.items():
            self._add(run, _text(value, name))
        self._close(run)

    def close(self) -> None:
        """Close all files."""
        for run in list(self._writers):
            self._close(run)

    def _add(self, run: str, summary: Any, step: int = 0) -> None:
        from tensorboard.compat.proto import event_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if run not in self._writers:
            folder = self._root / run
            folder.mkdir(parents=True, exist_ok=True)
            self._writers[run] = EventFileWriter(str(folder), flush_secs=3600)
        event = event_pb2.Event(wall_time=time.time(), step=step, summary=summary)
        self._writers[run].add_event(event)

    def _close(self, run: str) -> None:
        if run in self._writers:
            self._writers.pop(run).close()


def _scalars(metrics: Metrics) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=k, simple_value=v) for k, v in metrics.items()])


def _text(text: str, tag: str = "outcome") -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING
    from tensorboard.plugins.text import metadata

    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()], tensor_shape=shape)
    described = metadata.create_summary_metadata(tag, "")
    return Summary(value=[Summary.Value(tag=tag, metadata=described, tensor=tensor)])


def _image(path: Path) -> Any:
    from PIL import Image
    from tensorboard.compat.proto.summary_pb2 import Summary

    with Image.open(path) as picture:
        width, height = picture.size
    image = Summary.Image(
        height=height, width=width, colorspace=4, encoded_image_string=path.read_bytes()
    )
    return Summary(value=[Summary.Value(tag=f"figures/{path.stem}", image=image)])


def _hyperparameters(run: TrackedRun) -> list[Any]:
    from google.protobuf.struct_pb2 import Value as Struct
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.api_pb2 import Experiment, HParamInfo, MetricInfo, MetricName
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

    version = metadata.PLUGIN_DATA_VERSION
    values = {**run.parameters, **{k: v for k, v in run.tags.items() if k in ("arm", "block")}}
    experiment = Experiment(
        hparam_infos=[HParamInfo(name=name) for name in values],
        metric_infos=[MetricInfo(name=MetricName(tag=tag)) for tag in SCORES],
    )
    session = SessionStartInfo(group_name=run.key, start_time_secs=time.time())
    for name, value in values.items():
        found = Struct(string_value=value) if isinstance(value, str) else Struct(number_value=value)
        session.hparams[name].CopyFrom(found)
    contents = {
        metadata.EXPERIMENT_TAG: HParamsPluginData(experiment=experiment, version=version),
        metadata.SESSION_START_INFO_TAG: HParamsPluginData(
            session_start_info=session, version=version
        ),
    }
    found = []
    for tag, content in contents.items():
        described = SummaryMetadata(
            plugin_data=SummaryMetadata.PluginData(
                plugin_name=metadata.PLUGIN_NAME, content=content.SerializeToString()
            )
        )
        found.append(Summary(value=[Summary.Value(tag=tag, metadata=described)]))
    return found


def _safe(text: str) -> str:
    return re.sub(r"[^\w.,=-]+", " ", text).replace(" ,", ",").strip() or "run"


def _folder(request: TrackerRequest) -> Path:
    return Path(request.options) if request.options else request.folder / "tensorboard"


def _check(options: str) -> None:
    """Raise a UsageError unless the options are a folder, which need not be there yet."""
    if "://" in options or (options and Path(options).is_file()):
        raise UsageError(f"tensorboard takes a folder, as in tensorboard:logs; got {options!r}")


def _where(request: TrackerRequest) -> str:
    return f"look: tensorboard --logdir {_folder(request)}"


TRACKER = TrackerInfo(
    "tensorboard",
    "TensorBoard: event files, by default in the study's folder.",
    "FOLDER",
    ("tensorboard",),
    "tensorboard",
    TensorBoardTracker,
    _check,
    _where,
)
