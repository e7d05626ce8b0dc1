"""What a process left that died when its run was final."""

from __future__ import annotations

import json

from normlab.records.lease import Owner, lease_owner, machine
from normlab.records.run import Outcome
from normlab.study.study import Study


def test_the_checkpoint_of_a_run_that_ended_just_before_its_process_is_swept(
    make_plan, dataset, tmp_path
) -> None:
    study = Study.create(tmp_path / "study", make_plan(), dataset)
    ended, going_on = (study.run_folder(spec) for spec in study.specs())
    for folder, status in ((ended, "diverged"), (going_on, "interrupted")):
        folder.checkpoint_path.mkdir(parents=True)
        folder.write_outcome(Outcome(status=status, epochs=0))
    study.save()
    assert not ended.checkpoint_path.exists()
    assert going_on.checkpoint_path.exists()


def test_the_lease_of_a_process_that_died_when_its_run_was_final_is_swept(
    make_plan, dataset, tmp_path
) -> None:
    """Found by the bench of torture: nobody takes such a run again, so that it stayed for ever."""
    study = Study.create(tmp_path / "study", make_plan(), dataset)
    ended, held = (study.run_folder(spec) for spec in study.specs())
    dead = Owner("token", machine(), 2**22 + 1, "long ago")  # a number that no process has
    for folder in (ended, held):
        folder.path.mkdir(parents=True)
        folder.write_outcome(Outcome(status="diverged", epochs=0))
    (ended.path / ".lease-1").write_text(json.dumps(vars(dead)), encoding="utf-8")
    with held.leased():
        study.save()
        assert lease_owner(held.path) is not None, "of one that lives it is not"
    assert not list(ended.path.glob(".lease-*"))
