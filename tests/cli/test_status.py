"""`normlab status` of studies that are made up, through the real store: no image, no training."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from normlab.errors import StorageError
from normlab.records.plan import parse_plan, write_plan
from normlab.records.run import EpochRow, Measures, Outcome, RunSpec
from normlab.records.store import RunFolder
from normlab.study.design.freeze import freeze
from normlab.study.design.runs import plan_runs
from normlab.study.runs import StudyRuns

MEASURES = Measures(loss=0.5, accuracy=0.5, micro_f1=0.5, macro_f1=0.5, images=2)
ROW = EpochRow(
    epoch=1, learning_rate=0.1, train=MEASURES, validation=MEASURES, seconds=1.0,
    images_per_second=2.0,
)  # fmt: skip
FINISHED = Outcome(status="finished", epochs=1, reported_epoch=1, test=MEASURES, seconds=2.0)


def end(study: Path, spec: RunSpec, outcome: Outcome = FINISHED) -> RunFolder:
    """A run that has ended so, after one epoch."""
    folder = RunFolder(study / "runs" / spec.folder_name)
    folder.create(spec, {})
    folder.append_row(ROW)
    folder.write_outcome(outcome)
    return folder


@pytest.fixture
def runs(scratch: Path) -> list[RunSpec]:
    """The runs of a study of two arms in three blocks, S, of which none has begun."""
    content = {
        "name": "made up",
        "data": {"source": "nowhere", "image_size": 32},
        "factors": {"norm": ["bn", "gn"]},
        "training": {"epochs": 3},
        "analysis": {"method": 2, "margin": 0.01},
    }
    plan = freeze(parse_plan(content), "f" * 64, ("a", "b"))
    (scratch / "S").mkdir()
    write_plan(plan, scratch / "S" / "study.toml")
    return plan_runs(plan)


def test_a_finished_study_is_counted_without_torch_and_statistics(runs, scratch) -> None:
    for spec in runs:
        end(scratch / "S", spec)
    code = """
import sys
from normlab.cli.main import main
sys.argv = ["normlab", "status", "S"]
try:
    main()
except SystemExit as end:
    assert not end.code
heavy = {"torch", "pandas", "scipy", "statsmodels", "PIL", "sklearn", "altair"}
print(sorted(heavy & set(sys.modules)))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "6 finished",
        "all runs are done. See them: normlab report S",
        "[]",
    ]


def test_every_kind_is_counted_and_what_needs_a_look_has_a_line(normlab, runs, scratch) -> None:
    study = scratch / "S"
    assert normlab("status", "S").out.splitlines()[0] == "6 not begun"
    end(study, runs[0])
    end(study, runs[1], Outcome(status="failed", epochs=1, error="ZeroDivisionError: tried"))
    end(study, runs[2], Outcome(status="interrupted", epochs=1, error="by the user"))
    begun = end(study, runs[3])
    (begun.path / "outcome.json").unlink()
    bare = RunFolder(study / "runs" / runs[4].folder_name)
    bare.create(runs[4], {})
    lines = normlab("status", "S").out.splitlines()
    assert lines[:3] == [
        f"failed       {runs[1].folder_name}  block 1  ZeroDivisionError: tried",
        f"interrupted  {runs[2].folder_name}  block 2, epoch 1/3",
        f"begun        {runs[3].folder_name}  block 2, epoch 1/3",
    ]
    assert lines[3] == "1 finished, 1 failed, 1 interrupted, 1 begun, 2 not begun"
    assert re.match(r"5 runs left, about 10 s. Go on: normlab run S$", lines[4])


def test_an_outcome_that_is_changed_cut_or_of_another_run_is_named(normlab, runs, scratch) -> None:
    study = scratch / "S"
    folders = [end(study, spec).path for spec in runs]
    path = folders[3] / "outcome.json"
    content = path.read_bytes()
    for damaged, words in (
        (content.replace(b'"seconds": 2.0', b'"seconds": 3.0'), "its checksum differs"),
        (content[:-70], "cut or changed"),
        ((folders[2] / "outcome.json").read_bytes(), "not of this folder"),
        (b"", "damaged"),
        (b'{"status": "finished", "epochs": -1}', "epochs"),
    ):
        path.write_bytes(damaged)
        result = normlab("status", "S")
        assert (result.code, result.out) == (2, "")
        assert f"{folders[3].name}/outcome.json" in result.err
        assert words in result.err
    path.unlink()
    assert normlab("status", "S").out.splitlines()[1] == "5 finished, 1 begun"
    shutil.rmtree(folders[3])
    assert normlab("status", "S").out.splitlines()[0] == "5 finished, 1 not begun"


def test_what_was_noted_is_not_read_again(runs, scratch, monkeypatch) -> None:
    for spec in runs[:4]:
        end(scratch / "S", spec)
    opened = StudyRuns.open("S")
    assert opened.begun() == {spec.folder_name for spec in runs[:4]}
    for spec in runs[:4]:
        assert opened.read_outcome(spec).seconds == 2.0
    shutil.rmtree(scratch / "S" / "runs")
    monkeypatch.setattr("normlab.study.runs.StudyRuns._skipped", lambda _: set())
    assert opened.missing() == runs[4:]
    assert StudyRuns.open("S").missing() == runs


def test_runs_that_are_no_folder_are_one_sentence(normlab, runs, scratch) -> None:
    (scratch / "S" / "runs").write_text("")
    with pytest.raises(StorageError, match="runs cannot be read: Not a directory"):
        StudyRuns.open("S").begun()
    assert normlab("status", "S").code == 2


def test_looks_are_taken_of_outcomes_and_of_runs_that_no_plan_knows(runs, scratch) -> None:
    study = scratch / "S"
    for spec in runs[:2]:
        end(study, spec)
    end(study, runs[2], Outcome(status="failed", epochs=1, error="tried"))
    stranger = end(study, runs[3].model_copy(update={"epochs": 7}))
    (study / "runs" / runs[4].folder_name).mkdir()  # is about to begin
    found = StudyRuns.open(study)._records_so_far()
    assert {record.folder: record.spec for record in found} == {
        **{study / "runs" / spec.folder_name: spec for spec in runs[:3]},
        stranger.path: stranger.read_spec(),
    }
    for record in found:
        whole = RunFolder(record.folder).read(rows=False)
        assert (record.outcome, type(record.outcome)) == (whole.outcome, Outcome)
    (stranger.path / "spec.json").write_text("{}")
    with pytest.raises(StorageError, match="checksum differs"):
        StudyRuns.open(study)._records_so_far()
