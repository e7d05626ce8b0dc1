"""What a tracker is, and what it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

Value = str | int | float
Metrics = Mapping[str, float]


@dataclass(frozen=True)
class TrackedRun:
    """A run as a tracker shows it; the study itself is one too, the parent of its runs."""

    key: str
    """Unique in the study: the id of the run, or "study"."""
    name: str
    """As people read it, e.g. "bn, block 1"."""
    group: str
    """The setting, or "tuning"."""
    kind: str
    """The block, e.g. "block 1"; "study" for the parent."""
    parameters: Mapping[str, Value] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ending:
    """How a run ended."""

    status: Literal["finished", "failed", "stopped"]
    metrics: Metrics = field(default_factory=dict)
    """Of the run as a whole, e.g. "test/accuracy"."""
    tags: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    """What people are to read: the verdict, an error."""
    files: tuple[Path, ...] = ()
    """Files to be kept with it, where the tracker keeps files."""


class Tracker(Protocol):
    """Takes runs, their epochs and how they ended; it keeps no state of a study.

    What is to be sent is found in the records, and what was sent is noted beside them
    (normlab.trackers.sender), so that any error of a tracker is only a delay; it may raise any.
    """

    def begin(self, run: TrackedRun, known: str | None, parent: str | None) -> str:
        """Begin a run, or go on with one.

        Args:
            run: what is known of it before its first epoch.
            known: the tracker's own name of it, where it was begun before.
            parent: the tracker's own name of the study.

        Returns:
            The tracker's own name of the run.
        """

    def log(self, run: str, rows: Sequence[tuple[int, Metrics]]) -> None:
        """Metrics of some epochs, in their order."""

    def end(self, run: str, ending: Ending) -> None:
        """How it ended; called again after it has gone on."""

    def tag(self, run: str, tags: Mapping[str, str]) -> None:
        """Further tags of a run that has ended."""

    def close(self) -> None:
        """Send what is still held, and give everything back."""


@dataclass(frozen=True)
class TrackerRequest:
    """What a tracker is made for."""

    study: Path
    """The study's folder."""
    name: str
    """The study's name in its plan."""
    plan_hash: str
    """Which tells studies of one name apart."""
    options: str
    """What was behind the name: of "mlflow:URI" the URI."""

    @property
    def folder(self) -> Path:
        """Where a tracker keeps what it keeps on this machine."""
        return self.study / "trackers"


@dataclass(frozen=True)
class TrackerInfo:
    """One entry of the table."""

    name: str
    summary: str
    options: str
    """What may stand behind the name and a colon."""
    modules: tuple[str, ...]
    """The modules that it needs."""
    extra: str
    """The extra of normlab that brings them."""
    make: Callable[[TrackerRequest], Tracker]
    check: Callable[[str], None]
    """Raises a UsageError for options that cannot be; imports nothing."""
    where: Callable[[TrackerRequest], str]
    """Where the runs go, and how to look at them, in a few words; imports nothing."""
