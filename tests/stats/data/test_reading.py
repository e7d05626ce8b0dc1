from __future__ import annotations

import pytest

from normlab.errors import PlanError
from normlab.stats.data.reading import read_study


def test_what_was_written_is_read(fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn", "gn"))
    written = fabricate.write_study(tmp_path, plan, fabricate.make_runs(plan))
    study = read_study(tmp_path)
    assert study.plan == plan
    assert {run.spec.id: run for run in study.runs} == {run.spec.id: run for run in written}
    assert study.unreadable == ()


def test_damaged_folders_are_named_and_do_not_hide_the_others(fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn",), blocks=5)
    runs = fabricate.write_study(tmp_path, plan, fabricate.make_runs(plan))
    (runs[0].folder / "outcome.json").write_text('{"status": "fin', encoding="utf-8")
    (runs[1].folder / "environment.json").write_text('{"python', encoding="utf-8")
    (runs[2].folder / "spec.json").unlink()
    (runs[3].folder / "outcome.json").unlink()  # it goes on, and would be vouched for else
    with (runs[3].folder / "epochs.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"epoch": 6, "learn')  # cut in half: not an epoch, and not a defect
    study = read_study(tmp_path)
    assert sorted(run.spec.block for run in study.runs) == [3, 4]
    assert sorted(folder.folder for folder in study.unreadable) == sorted(
        run.folder.name for run in runs[:3]
    )
    assert all(folder.reason for folder in study.unreadable)


def test_a_folder_without_a_plan_is_refused(tmp_path):
    with pytest.raises(PlanError, match="no study plan"):
        read_study(tmp_path)
