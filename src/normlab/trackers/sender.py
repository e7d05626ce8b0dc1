"""Send what a tracker does not have yet; the records are the queue.

What was sent of each run is noted in trackers/TARGET.jsonl, a line a step. So nothing is sent
twice, and what could not be sent is sent another time, by the study that goes on or by
`normlab track`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from normlab.errors import NormlabError, StorageError
from normlab.records.files import append_lines
from normlab.records.plan import read_plan
from normlab.records.store import RunFolder
from normlab.stats.data.reading import read_study
from normlab.stats.data.setting import Setting
from normlab.stats.summary.analysis import analyse_study
from normlab.trackers.base import Tracker, TrackerRequest
from normlab.trackers.facts import (
    STUDY,
    epoch_metrics,
    run_ending,
    run_facts,
    study_ending,
    study_facts,
    verdict_tags,
)
from normlab.trackers.registry import find_tracker


class TrackerDownError(NormlabError):
    """A tracker that cannot be reached, or refuses what it is sent."""


@dataclass(frozen=True)
class Sent:
    """What a tracker has of a run."""

    name: str
    """The tracker's own name of it."""
    epochs: int = 0
    ended: str = ""
    """Status and epochs of the outcome that was sent."""
    verdict: str = ""


class Sender:
    """One study, one tracker."""

    def __init__(self, folder: Path, target: str, *, anew: bool = False) -> None:
        """Bind to a study's folder and a tracker, e.g. "mlflow:http://127.0.0.1:5000".

        With `anew` what was sent before is forgotten.

        Raises:
            PlanError: there is no study.
            UsageError: the tracker is unknown or cannot be used.
        """
        self.info, options = find_tracker(target)
        self.plan = read_plan(folder / "study.toml")
        self.request = TrackerRequest(folder, self.plan.name, self.plan.hash, options)
        self.folder = folder
        digest = hashlib.sha256(target.encode()).hexdigest()[:8]
        self._notes = self.request.folder / f"{self.info.name}-{digest}.jsonl"
        if anew:
            self._notes.unlink(missing_ok=True)
        self._sent = dict(self._read_notes())
        self._tracker: Tracker | None = None
        self._begun: set[str] = set()

    def send_run(self, path: Path) -> None:
        """Send what is new of a run's folder.

        Raises:
            TrackerDownError: the tracker did not take it.
        """
        try:
            record = RunFolder(path).read()
        except StorageError:
            return  # not there yet, or damaged, which the report says
        sent, outcome = self._sent.get(record.spec.id), record.outcome
        ended = "" if outcome is None else f"{outcome.status} {outcome.epochs}"
        rows = record.rows[sent.epochs if sent else 0 :]
        if sent is not None and not rows and ended in ("", sent.ended):
            return
        key, facts = record.spec.id, run_facts(record.spec, self.plan)
        with _as_down():
            parent = self._parent()
            if sent is None or key not in self._begun:
                name = self._made().begin(facts, sent.name if sent else None, parent)
                sent = replace(sent, name=name) if sent else Sent(name)
                self._note(key, sent)
            if rows:
                self._made().log(sent.name, [(row.epoch, epoch_metrics(row)) for row in rows])
                sent = replace(sent, epochs=rows[-1].epoch)
                self._note(key, sent)
            if ended and ended != sent.ended:
                self._made().end(sent.name, run_ending(record))
                self._note(key, replace(sent, ended=ended))
                self._begun.discard(key)

    def send_all(self, said: Callable[[int, int], None] = lambda done, count: None) -> None:
        """Send everything that is missing, and the verdict as it stands.

        Raises:
            TrackerDownError: the tracker did not take it.
        """
        folders = list(self.run_paths())
        for number, path in enumerate(folders, start=1):
            self.send_run(path)
            said(number, len(folders))
        self._send_verdict()

    def run_paths(self) -> Iterator[Path]:
        """The folders of all runs, those of the tuning first."""
        for part in ("tuning", "runs"):
            yield from (path.parent for path in sorted((self.folder / part).glob("*/spec.json")))

    @property
    def missing(self) -> int:
        """Runs of which the tracker does not have the end."""
        ids = {path.name.rpartition("-")[2] for path in self.run_paths()}
        return sum(1 for run in ids if run not in self._sent or not self._sent[run].ended)

    def close(self) -> None:
        """Let the tracker send what it holds.

        Raises:
            TrackerDownError: it could not.
        """
        if self._tracker is not None:
            with _as_down():
                self._tracker.close()

    def _send_verdict(self) -> None:
        records = read_study(self.folder)
        analysis = analyse_study(records)
        words = verdict_tags(analysis)
        with _as_down():
            for run in records.runs:
                sent = self._sent.get(run.spec.id)
                word = words.get((Setting.of(run.spec, self.plan).label, run.spec.arm), "")
                if sent is not None and sent.ended and word and word != sent.verdict:
                    self._made().tag(sent.name, {"verdict": word})
                    self._note(run.spec.id, replace(sent, verdict=word))
            name = self._parent()
            self._made().end(name, study_ending(analysis, self.folder))
            self._note(STUDY, Sent(name, ended="so far"))

    def _parent(self) -> str:
        sent = self._sent.get(STUDY)
        if sent is None or STUDY not in self._begun:
            known = None if sent is None else sent.name
            name = self._made().begin(study_facts(self.plan), known, None)
            self._note(STUDY, Sent(name))
        return self._sent[STUDY].name

    def _made(self) -> Tracker:
        if self._tracker is None:
            self._tracker = self.info.make(self.request)
        return self._tracker

    def _note(self, key: str, sent: Sent) -> None:
        self._sent[key] = sent
        self._begun.add(key)
        self._notes.parent.mkdir(exist_ok=True)
        append_lines(self._notes, [json.dumps({"run": key, **vars(sent)})])

    def _read_notes(self) -> Iterator[tuple[str, Sent]]:
        """What the notes say, the last line of a run counting; half a line is none."""
        if not self._notes.exists():
            return
        for line in self._notes.read_text(encoding="utf-8").splitlines():
            try:
                content = json.loads(line)
                yield content.pop("run"), Sent(**content)
            except (ValueError, TypeError, KeyError, AttributeError):
                continue


class _as_down:  # noqa: N801 - a context, as it reads
    """Any error of a tracker as a TrackerDownError with its reason in a line."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, NormlabError):
            raise TrackerDownError(reason(error)) from error


def reason(error: BaseException) -> str:
    r"""The innermost cause in one line.

    >>> reason(RuntimeError("no route\nto host"))
    'no route to host'
    """
    inner = error
    while (cause := inner.__cause__ or inner.__context__) is not None:
        inner = cause
    text = " ".join(str(inner).split()) or type(inner).__name__
    return text if len(text) <= 160 else f"{text[:160]}…"
