"""normlab course-report by the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from normlab.report.course import build


def test_a_study(normlab, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "ENGINES", ())
    found = normlab("course-report", study)
    assert found.code == 0, found.err
    assert "tables   1, 2, 3\n" in found.out
    assert "--recipe batch-size" in found.out
    assert (study / "course-report" / "report.tex").exists()


def test_bad_input(normlab, study: Path) -> None:
    normlab("course-report", "nowhere").assert_one_sentence("no study plan at")
    normlab("course-report", study, study).assert_one_sentence("named twice")
