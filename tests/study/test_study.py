"""A study on disk: begun, continued, refused, interrupted. What is left, the records say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from normlab.data.dataset import load_data
from normlab.errors import InterruptedRunError, PlanError, StorageError, UsageError
from normlab.records.data_report import DataReport
from normlab.records.plan import read_plan, write_plan
from normlab.records.run import EpochRow, Outcome
from normlab.records.store import DATA, read_optional
from normlab.study.lock import study_lock
from normlab.study.study import Study
from normlab.train import execute as execute_module
from normlab.train.checkpoint import load_weights


def run_all(study: Study, dataset, **options) -> list[Outcome]:
    return [event for _, event in study.run(dataset, **options) if isinstance(event, Outcome)]


def figures(study: Study) -> dict[str, dict]:
    """Of every run what must repeat to the bit: all but the clock."""
    found = {}
    for record in study.records():
        rows = [row.model_dump(exclude={"seconds", "images_per_second"}) for row in record.rows]
        outcome = record.outcome.model_dump(exclude={"seconds"})
        predictions = study.run_folder(record.spec).read_predictions()
        weights, *metadata = load_weights(record.folder / "weights.safetensors")
        found[record.spec.id] = {
            "rows": rows,
            "outcome": outcome,
            "ids": predictions.ids.tolist(),
            "probabilities": predictions.probabilities.tobytes(),
            "weights": {name: tensor.numpy().tobytes() for name, tensor in weights.items()},
            "metadata": metadata,
        }
    return found


# --- begin, open, continue


def test_create_run_and_open(make_plan, dataset, tmp_path) -> None:
    study = Study.create(tmp_path / "study", make_plan(blocks=2), dataset)
    assert [spec.arm for spec in study.missing()] == ["bn", "gn", "bn", "gn"]
    events = list(study.run(dataset))
    kinds = [type(event) for _, event in events]
    assert kinds == [EpochRow, Outcome] * 4
    assert [spec for spec, event in events if isinstance(event, Outcome)] == study.specs()
    opened = Study.open(tmp_path / "study")
    assert opened.plan == study.plan
    assert opened.missing() == []
    assert len(opened.records()) == 4
    assert list(opened.run(dataset)) == []


def test_a_study_is_opened_by_its_plan_too(make_plan, dataset, tmp_path) -> None:
    study = Study.create(tmp_path / "study", make_plan(), dataset)
    assert Study.open(study.path).folder == study.folder


def test_planning_writes_nothing(make_plan, dataset, tmp_path) -> None:
    study = Study.planned(tmp_path / "study", make_plan(), dataset)
    assert len(study.missing()) == 2
    assert not study.folder.exists()


def test_the_same_plan_opens_the_same_study(make_plan, dataset, tmp_path) -> None:
    first = Study.create(tmp_path / "study", make_plan(), dataset)
    again = Study.create(tmp_path / "study", make_plan(), dataset)
    assert again.plan.frozen == first.plan.frozen


def test_more_blocks(make_plan, dataset, tmp_path) -> None:
    study = Study.create(tmp_path / "study", make_plan(), dataset)
    run_all(study, dataset)
    before = figures(study)
    more = Study.create(tmp_path / "study", make_plan(blocks=2), dataset)
    assert [(spec.block, spec.arm) for spec in more.missing()] == [(1, "bn"), (1, "gn")]
    run_all(more, dataset)
    after = figures(more)
    assert {key: after[key] for key in before} == before
    assert len(after) == 4
    assert Study.open(study.folder).plan.blocks == 2


def test_fewer_blocks_in_the_command_take_none_away(make_plan, dataset, tmp_path) -> None:
    Study.create(tmp_path / "study", make_plan(blocks=3), dataset)
    assert Study.create(tmp_path / "study", make_plan(blocks=2), dataset).plan.blocks == 3


def test_set_blocks(make_plan, dataset, tmp_path) -> None:
    study = Study.create(tmp_path / "study", make_plan(), dataset)
    study.set_blocks(4)
    assert len(study.missing()) == 8
    assert Study.open(study.folder).plan.blocks == 4
    with pytest.raises(PlanError, match="at least 1 block, got 0"):
        study.set_blocks(0)


def test_blocks_are_only_added(make_plan, dataset, tmp_path) -> None:
    study = Study.create(tmp_path / "study", make_plan(blocks=3), dataset)
    written = study.path.read_bytes()
    for ask in (study.with_blocks, study.set_blocks, Study.open(study.folder).plan.with_blocks):
        with pytest.raises(PlanError, match=r"keeps its 3 blocks.* got 2; for fewer start another"):
            ask(2)
    assert study.path.read_bytes() == written
    assert make_plan(blocks=3).with_blocks(2).blocks == 2  # not begun yet


def test_the_data_are_found_where_the_plan_says(make_plan, dataset, pictures, tmp_path) -> None:
    study = Study.create(tmp_path / "study", make_plan(pictures), dataset)
    moved = pictures.rename(tmp_path / "moved")
    loaded = study.load_data(str(moved))
    assert loaded.manifest.fingerprint == dataset.manifest.fingerprint
    assert [outcome.status for outcome in run_all(study, loaded)] == ["finished"] * 2


# --- what is refused, with nothing written


def test_a_folder_with_another_plan(make_plan, dataset, tmp_path) -> None:
    study = Study.create(tmp_path / "study", make_plan(), dataset)
    before = study.path.read_bytes()
    with pytest.raises(PlanError, match=r"holds a study with another plan; .*normlab run .*--out"):
        Study.create(tmp_path / "study", make_plan(seed=1), dataset)
    assert study.path.read_bytes() == before


def test_a_folder_that_is_no_study(make_plan, dataset, tmp_path) -> None:
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.txt").write_text("irreplaceable")
    with pytest.raises(PlanError, match="not empty and holds no study; choose another folder"):
        Study.create(folder, make_plan(), dataset)
    assert [path.name for path in folder.iterdir()] == ["chapter.txt"]


def test_a_file_in_the_place_of_the_folder(make_plan, dataset, tmp_path) -> None:
    (tmp_path / "study").write_text("")
    with pytest.raises(PlanError, match="is a file"):
        Study.create(tmp_path / "study", make_plan(), dataset)


def test_an_empty_folder_will_do(make_plan, dataset, tmp_path) -> None:
    (tmp_path / "study").mkdir()
    assert Study.create(tmp_path / "study", make_plan(), dataset).path.exists()


def test_a_folder_whose_study_was_killed_while_it_was_planned(make_plan, dataset, tmp_path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / ".study.toml.0a1b2c3d-17.partial").write_text("name = ")
    assert Study.create(tmp_path / "study", make_plan(), dataset).missing()


def test_a_study_that_was_killed_between_its_plan_and_its_data(
    make_plan, dataset, tmp_path
) -> None:
    Study.create(tmp_path / "study", make_plan(), dataset)
    found = read_optional(tmp_path / "study" / DATA, DataReport)
    assert found is not None
    (tmp_path / "study" / DATA).unlink()
    Study.create(tmp_path / "study", make_plan(), dataset)
    again = read_optional(tmp_path / "study" / DATA, DataReport)
    assert again is not None
    assert again.images == found.images


def test_an_arm_that_cannot_be_trained(make_plan, dataset, tmp_path) -> None:
    plan = make_plan(factors={"norm": ["bn", "gn:groups=5"], "batch_size": [4]})
    with pytest.raises(UsageError, match="gn:groups=5 in cifar-resnet8"):
        Study.create(tmp_path / "study", plan, dataset)
    assert not (tmp_path / "study").exists()


def test_changed_pictures_under_the_same_path(
    make_plan, dataset, pictures, make_pictures, tmp_path
) -> None:
    study = Study.create(tmp_path / "study", make_plan(pictures), dataset)
    make_pictures(pictures, seed=1)
    with pytest.raises(PlanError, match=r"not those that .* was started on"):
        study.load_data()
    changed = load_data(str(pictures), 8)
    with pytest.raises(PlanError, match="was started on other data"):
        Study.create(tmp_path / "study", make_plan(pictures), changed)


def test_an_edited_plan(make_plan, dataset, tmp_path) -> None:
    study = Study.create(tmp_path / "study", make_plan(), dataset)
    text = study.path.read_text()
    assert "epochs = 1\n" in text
    study.path.write_text(text.replace("epochs = 1\n", "epochs = 2\n"))
    with pytest.raises(PlanError, match="was changed after its study had started"):
        Study.open(study.folder)


def test_a_plan_that_was_never_started(make_plan, tmp_path) -> None:
    write_plan(make_plan(), tmp_path / "study.toml")
    with pytest.raises(PlanError, match=r"never started; run it with: normlab run .*study\.toml"):
        Study.open(tmp_path)


def test_no_study_at_all(tmp_path) -> None:
    with pytest.raises(PlanError, match="no study plan at"):
        Study.open(tmp_path)


# --- one process at a time


def test_a_second_process_is_refused(make_plan, dataset, tmp_path) -> None:
    """The lock is the system's: it is another process that holds it here, and it dies with it."""
    study = Study.create(tmp_path / "study", make_plan(), dataset)
    holder = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from normlab.study.lock import study_lock
        with study_lock(Path(sys.argv[1])):
            print("held", flush=True)
            time.sleep(60)
    """)
    command = [sys.executable, "-c", holder, str(study.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(PlanError, match="another process is running"):
            run_all(study, dataset)
        assert study.records() == []
        process.kill()
    assert len(run_all(study, dataset)) == 2


def test_the_lock_is_given_back(make_plan, dataset, tmp_path) -> None:
    study = Study.create(tmp_path / "study", make_plan(), dataset)
    for _ in range(2):
        with study_lock(study.folder):
            pass


def test_a_lock_that_cannot_be_made(tmp_path) -> None:
    with pytest.raises(StorageError, match="cannot write to the study"), study_lock(tmp_path / "x"):
        pass


# --- how runs end


def test_what_is_missing_after_every_way_to_end(make_plan, dataset, tmp_path) -> None:
    """Diverged is a result; failed, out of memory and interrupted are tried again."""
    arms = ["bn", "in", "ln", "gn", "none", "bin"]
    plan = make_plan(factors={"norm": arms, "batch_size": [4]})
    study = Study.create(tmp_path / "study", plan, dataset)
    ends = ["finished", "stopped_early", "diverged", "failed", "out_of_memory", "interrupted"]
    for spec, status in zip(study.specs(), ends, strict=True):
        study.run_folder(spec).write_outcome(Outcome(status=status, epochs=1))
    assert [spec.arm for spec in study.missing()] == ["gn", "none", "bin"]


def test_a_diverged_run_is_stored_and_the_study_goes_on(make_plan, dataset, tmp_path) -> None:
    training = {
        "network": {"name": "resnet8"},
        "epochs": 4,
        "schedule": "constant",
        "augmentation": "none",
    }
    factors = {"norm": ["none", "bn"], "learning_rate": [1e12], "batch_size": [4]}
    plan = make_plan(factors=factors, training=training)
    study = Study.create(tmp_path / "study", plan, dataset)
    outcomes = run_all(study, dataset)
    assert outcomes[0].status == "diverged"
    assert "not finite in epoch" in outcomes[0].error
    assert len(outcomes) == 2
    assert study.specs()[0] not in study.missing()


def test_the_failure_of_a_run_does_not_stop_the_others(
    make_plan, dataset, tmp_path, monkeypatch
) -> None:
    study = Study.create(tmp_path / "study", make_plan(blocks=2), dataset)
    build = execute_module.build_network

    def build_or_break(spec, device):
        if (spec.arm, spec.block) == ("bn", 0):
            raise ZeroDivisionError("made to fail")
        return build(spec, device)

    monkeypatch.setattr(execute_module, "build_network", build_or_break)
    outcomes = run_all(study, dataset)
    assert [outcome.status for outcome in outcomes] == ["failed"] + ["finished"] * 3
    assert outcomes[0].error == "ZeroDivisionError: made to fail"
    assert [(spec.arm, spec.block) for spec in study.missing()] == [("bn", 0)]
    monkeypatch.undo()
    assert [outcome.status for outcome in run_all(study, dataset)] == ["finished"]
    assert study.missing() == []


def test_a_failed_run_that_is_repeated_is_as_if_it_had_not_failed(
    make_plan, dataset, tmp_path, monkeypatch
) -> None:
    plain = Study.create(tmp_path / "plain", make_plan(), dataset)
    run_all(plain, dataset)
    study = Study.create(tmp_path / "study", make_plan(), dataset)
    with monkeypatch.context() as context:
        context.setattr(execute_module, "evaluate", lambda *_: 1 / 0)
        assert {outcome.status for outcome in run_all(study, dataset)} == {"failed"}
    run_all(study, dataset)
    assert figures(study) == figures(plain)


def test_an_interruption_stops_the_study(make_plan, dataset, tmp_path) -> None:
    def stop(images: int) -> None:
        raise InterruptedRunError("stopped")

    study = Study.create(tmp_path / "study", make_plan(), dataset)
    outcomes = run_all(study, dataset, on_batch=stop)
    assert [outcome.status for outcome in outcomes] == ["interrupted"]
    assert len(study.missing()) == 2


def test_a_full_disk_stops_the_study(make_plan, dataset, tmp_path, monkeypatch) -> None:
    study = Study.create(tmp_path / "study", make_plan(), dataset)

    def full(*args: object, **options: object) -> None:
        raise StorageError("cannot write state.ckpt: No space left on device")

    with monkeypatch.context() as context:
        context.setattr("normlab.train.state.save_checkpoint", full)
        with pytest.raises(StorageError, match="No space left"):
            run_all(study, dataset)
    assert len(study.missing()) == 2
    assert [outcome.status for outcome in run_all(study, dataset)] == ["finished"] * 2


def command(*arguments: str, cache: Path) -> tuple[list[str], dict[str, str]]:
    environment = {**os.environ, "NORMLAB_CACHE": str(cache), "OMP_WAIT_POLICY": "passive"}
    return [sys.executable, "-m", "normlab", *arguments], environment


@pytest.mark.slow
def test_interrupted_and_continued_equals_undisturbed(
    make_plan, dataset, pictures, tmp_path
) -> None:
    """SIGINT to the command in the middle of a run; another process goes on."""
    training = {"network": {"name": "resnet8"}, "epochs": 12, "patience": 10}
    plan = make_plan(pictures, training=training)
    plain = Study.create(tmp_path / "plain", plan, dataset)
    run_all(plain, dataset)
    study = Study.create(tmp_path / "study", plan, dataset)
    rows = study.run_folder(study.specs()[0]).path / "epochs.jsonl"
    arguments, environment = command("run", str(study.folder), cache=tmp_path / "cache")
    with subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 60
        while not (rows.exists() and rows.read_text().count("\n") >= 2):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 3, errors
    assert errors == "stopping after this batch; again to quit now\n"
    assert f"go on: normlab run {study.folder}" in output
    assert study.run_folder(study.specs()[0]).read_outcome().status == "interrupted"
    assert len(study.missing()) == 2
    run_all(Study.open(study.folder), dataset)
    assert study.missing() == []
    assert figures(study) == figures(plain)


def test_the_comparison_of_figures_sees_a_difference(make_plan, dataset, tmp_path) -> None:
    one = Study.create(tmp_path / "one", make_plan(), dataset)
    run_all(one, dataset)
    before = figures(one)
    folder = one.run_folder(one.specs()[0])
    predictions = folder.read_predictions()
    predictions.probabilities[0, 0] = np.nextafter(predictions.probabilities[0, 0], 2)
    folder.write_predictions(predictions)
    folder.write_outcome(folder.read_outcome())  # which vouches for them
    assert figures(one) != before


def test_the_plan_on_disk_is_the_plan(make_plan, dataset, tmp_path) -> None:
    study = Study.create(tmp_path / "study", make_plan(), dataset)
    assert read_plan(study.path) == study.plan
