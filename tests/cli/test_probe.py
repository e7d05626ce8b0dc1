"""The probe on the command line: a line of the plan, a file of the study, a switch."""

from __future__ import annotations

from pathlib import Path

import pytest

from normlab.records.data_report import PROBE, Probe
from normlab.records.store import read_optional
from normlab.study import probe
from normlab.study.study import Study

pytestmark = pytest.mark.usefixtures("no_report")


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a study of a second gets a probe."""
    monkeypatch.setattr(probe, "SHORTEST", 0.0)


@pytest.mark.usefixtures("always")
@pytest.mark.slow
def test_a_plan_says_whether_it_learns_and_changes_nothing(normlab, photos, tiny, scratch) -> None:
    result = normlab("plan", "photos", *tiny)
    assert result.code == 0, result.err
    (line,) = [line for line in result.out.splitlines() if line.startswith("probe    one bn run")]
    assert "on validation, chance is 33 %" in line
    kept = read_optional(Path("photos-study") / PROBE, Probe)
    assert kept is not None
    ids = [spec.id for spec in Study.open("photos-study").specs()]

    other = normlab("plan", "photos", *tiny, "--no-probe", "--out", "other")
    assert "probe  " not in other.out
    assert not Path("other", PROBE).exists()
    assert [spec.id for spec in Study.open("other").specs()] == ids

    begun = normlab("run", "photos-study", "--yes")
    assert begun.code == 0, begun.err
    assert line in begun.out
    assert "probe  " not in normlab("run", "photos-study", "--yes").out


def test_a_study_that_is_soon_over_gets_none(normlab, photos, tiny) -> None:
    result = normlab("plan", "photos", *tiny)
    assert (result.code, "probe  " in result.out) == (0, False)
