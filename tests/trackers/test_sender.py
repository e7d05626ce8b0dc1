"""What is sent, once, of the records; and the process beside a study."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from normlab.errors import MissingExtraError, UnknownNameError, UsageError
from normlab.records.plan import parse_plan, read_plan
from normlab.records.store import RunFolder
from normlab.trackers import registry
from normlab.trackers.base import Ending, Metrics, TrackedRun, TrackerInfo
from normlab.trackers.follow import follow
from normlab.trackers.registry import all_trackers, find_tracker
from normlab.trackers.sender import Sender, TrackerDownError


class Recorder:
    """A tracker that remembers what it was told, and refuses while it is down."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.down = False

    def _told(self, *call: Any) -> None:
        if self.down:
            raise ConnectionError("nobody answers")
        self.calls.append(call)

    def begin(self, run: TrackedRun, known: str | None, parent: str | None) -> str:
        self._told("begin", run, known, parent)
        return known or f"at-{run.key}"

    def log(self, run: str, rows: Sequence[tuple[int, Metrics]]) -> None:
        self._told("log", run, list(rows))

    def end(self, run: str, ending: Ending) -> None:
        self._told("end", run, ending)

    def tag(self, run: str, tags: Mapping[str, str]) -> None:
        self._told("tag", run, dict(tags))

    def close(self) -> None:
        self._told("close")

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [call for call in self.calls if call[0] == kind]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    found = Recorder()
    info = TrackerInfo("memory", "", "", (), "x", lambda request: found, lambda o: None, str)
    all_trackers()
    monkeypatch.setitem(registry.TRACKERS.entries, "memory", info)
    return found


@pytest.fixture
def study(tmp_path: Path, fabricate) -> Path:
    plan = fabricate.make_plan(("bn", "gn"), blocks=3, epochs=4)
    fabricate.write_study(tmp_path / "s", plan, fabricate.make_runs(plan))
    return tmp_path / "s"


def test_all_is_sent_once(study: Path, recorder: Recorder) -> None:
    Sender(study, "memory").send_all()
    begun = recorder.of("begin")
    assert [call[1].key for call in begun].count("study") == 1
    assert len(begun) == 7
    assert {call[3] for call in begun} == {None, "at-study"}
    run = begun[1][1]
    assert run.parameters["optimizer.learning_rate"] == 0.1
    assert run.parameters["data.classes"] == 4
    assert run.tags["arm"] in ("bn", "gn")
    rows = RunFolder(next((study / "runs").glob(f"*{run.key}"))).read_rows()
    logged = next(call[2] for call in recorder.of("log") if call[1] == f"at-{run.key}")
    assert [step for step, _ in logged] == [1, 2, 3, 4]
    assert logged[-1][1]["validation/macro_f1"] == rows[-1].validation.macro_f1
    ending = next(call[2] for call in recorder.of("end") if call[1] == "at-study")
    assert ending.tags["verdict"].startswith("use ")
    assert "USE" in ending.text
    assert len(recorder.of("tag")) == 6
    assert Sender(study, "memory").missing == 0
    recorder.calls.clear()
    Sender(study, "memory").send_all()
    assert [call[0] for call in recorder.calls] == ["begin", "end"]  # the verdict as it stands
    recorder.calls.clear()
    Sender(study, "memory", anew=True).send_all()
    assert len(recorder.of("begin")) == 7


def test_a_run_is_gone_on_with(study: Path, recorder: Recorder) -> None:
    path = next((study / "runs").iterdir())
    outcome, rows = (path / "outcome.json").read_bytes(), (path / "epochs.jsonl").read_bytes()
    (path / "outcome.json").unlink()
    (path / "epochs.jsonl").write_bytes(b"".join(rows.splitlines(keepends=True)[:2]))
    Sender(study, "memory").send_run(path)
    assert not recorder.of("end")
    (path / "outcome.json").write_bytes(outcome)
    (path / "epochs.jsonl").write_bytes(rows)
    Sender(study, "memory").send_run(path)
    assert [[step for step, _ in call[2]] for call in recorder.of("log")] == [[1, 2], [3, 4]]
    assert len(recorder.of("end")) == 1
    assert recorder.of("begin")[-1][2] == f"at-{path.name.rpartition('-')[2]}"


def test_what_could_not_be_sent_is_sent_later(study: Path, recorder: Recorder) -> None:
    recorder.down = True
    sender = Sender(study, "memory")
    with pytest.raises(TrackerDownError, match="nobody answers"):
        sender.send_all()
    assert sender.missing == 6
    recorder.down = False
    Sender(study, "memory").send_all()
    assert Sender(study, "memory").missing == 0


class Lines(io.StringIO):
    """What a study says, over some time."""

    def __init__(self, lines: Sequence[str], between: float = 0.0) -> None:
        super().__init__()
        self.lines, self.between = list(lines), between
        self.done = threading.Event()

    def __iter__(self):
        for line in self.lines:
            yield line
            time.sleep(self.between)
        self.done.wait(5)


def test_the_process_sends_while_the_study_runs(study: Path, recorder: Recorder) -> None:
    paths = sorted((study / "runs").iterdir())
    lines = Lines([f"{path}\n" for path in paths[:2]])
    found: dict[str, object] = {}
    sender = Sender(study, "memory")
    thread = threading.Thread(target=lambda: found.update(follow(sender, lines, 0.01, 0.01)))
    thread.start()
    deadline = time.monotonic() + 5
    while len(recorder.of("end")) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(recorder.of("end")) == 2  # and the study has not ended
    lines.done.set()
    thread.join(5)
    assert found == {"missing": 0, "error": ""}
    assert len(recorder.of("end")) == 7


def test_epochs_that_come_fast_hold_up_no_sending(study: Path, recorder: Recorder) -> None:
    path = min((study / "runs").iterdir())
    lines = Lines([f"{path}\n"] * 400, between=0.005)  # two seconds, and always another one
    sender = Sender(study, "memory")
    thread = threading.Thread(target=lambda: follow(sender, lines, 0.01, 0.05))
    thread.start()
    time.sleep(1)
    assert recorder.of("end")
    lines.done.set()
    thread.join(10)


def test_the_process_tries_again(study: Path, recorder: Recorder) -> None:
    recorder.down = True
    lines = Lines([f"{next((study / 'runs').iterdir())}\n"])
    sender = Sender(study, "memory")
    thread = threading.Thread(target=follow, args=(sender, lines, 0.01, 0.01))
    thread.start()
    time.sleep(0.05)
    recorder.down = False
    deadline = time.monotonic() + 5
    while not recorder.of("end") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert recorder.of("end")
    lines.done.set()
    thread.join(5)


def test_a_tracker_that_stays_down_is_told_of(study: Path, recorder: Recorder) -> None:
    recorder.down = True
    lines = Lines([])
    lines.done.set()
    answer = follow(Sender(study, "memory"), lines, 0.01, 0.01)
    assert answer == {"missing": 6, "error": "nobody answers"}


# --- names, plans


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("mlflow:runs", "address of a server or a database"),
        ("mlflow:http://", "address of a server or a database"),
        ("mlflow:ftp://host/x", "address of a server or a database"),
        ("mlflow:http://me:secret@host:5000", "MLFLOW_TRACKING_PASSWORD"),
        ("wandb:a/b/c", "PROJECT or ENTITY/PROJECT"),
        ("tensorboard:http://host", "takes a folder"),
    ],
)
def test_what_cannot_be_is_refused(target: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as error:
        find_tracker(target)
    assert "secret" not in str(error.value)


def test_unknown_and_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'mlflow'"):
        find_tracker("mlflo")
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'pip install "normlab\[wandb\]"'):
        find_tracker("wandb")


def test_trackers_are_no_part_of_the_plan(tmp_path: Path, fabricate) -> None:
    plan = fabricate.make_plan()
    content = plan.model_dump(mode="json")
    assert "track" not in content
    told = parse_plan({**content, "track": ["tensorboard"]})
    assert told.hash == plan.hash
    fabricate.write_study(tmp_path, told, [])
    assert read_plan(tmp_path / "study.toml").track == ("tensorboard",)
