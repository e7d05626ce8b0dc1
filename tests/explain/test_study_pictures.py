"""The pictures at the end of a study: which, in how much time, and what is said of the rest."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from normlab.explain import study_pictures
from normlab.explain.arms import choose_arms
from normlab.explain.selection import choose_answers
from normlab.explain.study_pictures import explain_at_end
from normlab.records.store import Predictions
from normlab.report.explanation import FOLDER, read_explanation, write_explanation
from normlab.study.study import Study


@pytest.fixture
def copy(study: Study, tmp_path: Path) -> Study:
    shutil.copytree(study.folder, tmp_path / "study")
    shutil.rmtree(tmp_path / "study" / FOLDER, ignore_errors=True)
    return Study.open(tmp_path / "study")


def test_maps_are_withheld_where_nothing_was_learned(copy: Study, monkeypatch) -> None:
    monkeypatch.setattr(study_pictures, "nothing_learned", lambda folder: "every arm guesses")
    assert explain_at_end(copy, copy.load_data()) == "no maps: every arm guesses"
    found = read_explanation(copy.folder)
    assert found.withheld == "every arm guesses"
    assert not found.classes
    assert found.answers is not None


def test_the_time_is_over_after_the_first_arm(copy: Study, monkeypatch) -> None:
    monkeypatch.setattr(study_pictures, "nothing_learned", lambda folder: "")
    monkeypatch.setattr(study_pictures, "_seconds", lambda study: -1.0)
    assert explain_at_end(copy, copy.load_data()) == ""
    found = read_explanation(copy.folder)
    runs = choose_arms(copy.folder)
    assert found.arms == (runs[0].arm,)
    assert found.answers.run == runs[0].record.folder.name
    assert all(run.arm in found.left_out[-1] for run in runs[1:])
    write_explanation(found.model_copy(update={"automatic": False}), copy.folder / FOLDER)
    explain_at_end(copy, copy.load_data())  # somebody's own choice stays
    assert read_explanation(copy.folder).arms == found.arms


def test_what_cannot_be_made_is_said(copy: Study) -> None:
    for run in (copy.folder / "runs").iterdir():
        (run / "predictions.npz").unlink()
    assert explain_at_end(copy, copy.load_data()).startswith("no pictures: ")


def test_answers_are_of_as_many_classes_as_there_are() -> None:
    labels = np.repeat(np.arange(5), 8)
    said = np.where(np.arange(40) % 8 < 4, labels, (labels + 1) % 5)
    found = choose_answers(
        Predictions(np.arange(40).astype(str), labels, np.eye(5, dtype=np.float16)[said]), each=6
    )
    for places, is_right in ((found.right, True), (found.wrong, False)):
        assert len(set(places)) == 6
        assert all((said[place] == labels[place]) == is_right for place in places)
        assert len({labels[place] for place in places}) == 5
