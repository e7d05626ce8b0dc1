"""What every tracker must do: subclass it, say where it writes and how that is read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from normlab.trackers.base import Ending, TrackedRun, Tracker, TrackerRequest


@dataclass(frozen=True)
class ReadBack:
    """A run as a tracker's own reader finds it."""

    metrics: Mapping[str, Mapping[int, float]]
    """Name → step → value."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    """Anything that shows the tags and the ending's text."""


RUN = TrackedRun("a1b2", "bn, block 1", "sgd, batch 4", "block 1", {"batch_size": 4}, {"arm": "bn"})
PARENT = TrackedRun("study", "birds", "birds", "study", {"blocks": 2}, {})
FIRST = [(1, {"train/loss": 2.0, "validation/accuracy": 0.25}), (2, {"train/loss": 1.5})]
SECOND = [(3, {"train/loss": 1.25})]
ENDING = Ending("finished", {"test/accuracy": 0.75}, {"status": "finished"}, "it is done")


class TrackerContract:
    """Subclass it as `class TestMine(TrackerContract)` with `make` and `read`."""

    def make(self, request: TrackerRequest) -> Tracker:
        """A tracker that writes into the request's folder."""
        raise NotImplementedError

    def read(self, request: TrackerRequest, name: str) -> ReadBack:
        """The run of this name (the tracker's own), by the tracker's own reader."""
        raise NotImplementedError

    @pytest.fixture
    def request_(self, tmp_path: Path) -> TrackerRequest:
        """A study of its own."""
        return TrackerRequest(tmp_path, "birds", "f" * 64, "")

    def test_a_run_is_begun_gone_on_with_and_ended(self, request_: TrackerRequest) -> None:
        """By two processes one after the other, as when a study is cut off."""
        tracker = self.make(request_)
        parent = tracker.begin(PARENT, None, None)
        name = tracker.begin(RUN, None, parent)
        assert name != parent
        tracker.log(name, FIRST)
        tracker.close()
        again = self.make(request_)
        assert again.begin(PARENT, parent, None) == parent
        assert again.begin(RUN, name, parent) == name
        again.log(name, SECOND)
        again.end(name, ENDING)
        again.tag(name, {"verdict": "use"})
        arm = "sgd, batch 4/gn:groups=8~"  # names are an arm's, which a tracker may have to change
        metrics = {"runs": 1.0, f"test/accuracy/{arm}": 0.5}
        tags = {"verdict": "use bn", f"verdict/{arm}": "use"}
        again.end(parent, Ending("finished", metrics, tags, "use bn"))
        again.close()
        found = self.read(request_, name)
        losses = {step: round(value, 5) for step, value in found.metrics["train/loss"].items()}
        assert losses == {1: 2.0, 2: 1.5, 3: 1.25}
        assert list(found.metrics["validation/accuracy"].values()) == [0.25]
        assert list(found.metrics["test/accuracy"].values()) == [0.75]
        assert "4" in str(found.parameters.get("batch_size"))
        assert "finished" in found.text
        assert "use bn" in self.read(request_, parent).text
