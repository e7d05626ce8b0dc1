"""A study whose files are damaged, one after the other: nothing is used without a word.

The long form, with a table, is `python -m tests.torture --kind damages`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from normlab.cli.main import app
from normlab.data.load import block_data
from normlab.errors import InterruptedRunError, PlanError, StorageError
from normlab.records.store import RunFolder
from normlab.study.lock import study_lock
from normlab.study.study import Study
from normlab.study.verify import verify_run, verify_study
from normlab.train.checkpoint import STATE, load_checkpoint, load_weights, save_checkpoint
from normlab.train.execute import execute
from normlab.train.network import build_network
from normlab.train.optimizers import make_optimizer, make_schedule


@pytest.fixture
def study(make_plan, dataset, tmp_path: Path) -> Study:
    """Two finished runs."""
    made = Study.create(tmp_path / "study", make_plan(), dataset)
    for _ in made.run(dataset):
        pass
    return made


def damaged(content: bytes, random: np.random.Generator) -> Iterator[bytes]:
    """One bit turned, a stretch of zeros, cut; each other than the content."""
    for _ in range(4):
        place = int(random.integers(0, len(content)))
        yield (
            content[:place]
            + bytes([content[place] ^ (1 << int(random.integers(8)))])
            + (content[place + 1 :])
        )
        yield content[:place]
        gap = content[:place] + bytes(min(64, len(content) - place)) + content[place + 64 :]
        if gap != content:
            yield gap


def verify(study: Study) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["verify", str(study.folder)])
    return found.exit_code, found.output


@pytest.mark.slow
def test_every_damage_of_every_file_is_named(study: Study) -> None:
    assert verify(study) == (0, f"{study.folder}: 2 runs vouched for, 0 damaged\n")
    random = np.random.default_rng(0)
    run, other = (study.run_folder(spec) for spec in study.specs())
    names = sorted(path.name for path in run.path.iterdir() if path.name != "log.txt")
    assert len(names) == 7
    for name in names:
        path = run.path / name
        content = path.read_bytes()
        for found in [*damaged(content, random), (other.path / name).read_bytes()]:
            path.write_bytes(found)
            state, faults = verify_run(run.path)
            assert state == "damaged" or found == content, name
            assert any(str(path) in fault for fault in faults) or found == content, name
            path.write_bytes(content)
    assert verify_run(run.path) == ("vouched", ())
    for found in damaged((study.folder / "data.json").read_bytes(), random):
        (study.folder / "data.json").write_bytes(found)
        (fault,) = verify_study(study.folder).faults
        assert fault.sentence.endswith("delete data.json")


def test_the_command_names_the_fault_and_the_remedy(study: Study, tmp_path: Path) -> None:
    run = study.run_folder(study.specs()[0])
    content = run.weights_path.read_bytes()
    run.weights_path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    code, said = verify(study)
    assert code == 1
    assert said.splitlines() == [
        f"Damaged  runs/{run.path.name}: {run.weights_path} was changed after the run had ended "
        "(its checksum differs); delete the run's folder to train it again",
        f"{study.folder}: 1 run vouched for, 1 damaged",
    ]
    with pytest.raises(StorageError, match="was changed after the run had ended"):
        load_weights(run.weights_path)
    run.weights_path.write_bytes(content)
    outcome = run.read_outcome()
    (run.path / "outcome.json").write_text(outcome.model_dump_json())  # as they were before
    (study.folder / "runs" / "empty").mkdir()
    code, said = verify(study)
    assert code == 1
    assert "1 run vouched for, 1 not vouched for (made before there were checksums)" in said
    assert "runs/empty: " in said
    with pytest.raises(PlanError, match="no study plan at"):
        CliRunner().invoke(app, ["verify", str(tmp_path)], catch_exceptions=False)


def test_weights_of_another_run_are_refused_in_old_records_too(study: Study) -> None:
    run, other = (study.run_folder(spec) for spec in study.specs())
    outcome = run.read_outcome()
    (run.path / "outcome.json").write_text(outcome.model_dump_json())
    load_weights(run.weights_path)
    shutil.copy(other.weights_path, run.weights_path)
    with pytest.raises(StorageError, match=r"is that of the run .*, not of this folder"):
        load_weights(run.weights_path)
    run.weights_path.write_bytes(b"")
    with pytest.raises(StorageError, match="weights"):
        load_weights(run.weights_path)


@pytest.mark.slow
def test_a_checkpoint_that_was_damaged_is_not_continued(make_plan, dataset, tmp_path: Path) -> None:
    study = Study.create(
        tmp_path / "study",
        make_plan(training={"network": "resnet8", "epochs": 3, "patience": 2}),
        dataset,
    )
    spec = study.specs()[0]
    data = block_data(dataset, spec)
    left = [2 * data.steps_per_epoch + 6]

    def stop(images: int) -> None:
        left[0] -= images > 0
        if left[0] <= 0:
            raise InterruptedRunError("stopped")

    folder = study.run_folder(spec)
    rows = list(execute(spec, data, folder, on_batch=stop))
    assert rows
    assert verify_run(folder.path) == ("open", ())
    path = folder.checkpoint_path / STATE
    content = path.read_bytes()

    def resume(run: str = spec.id):
        network = build_network(spec, "cpu")
        optimizer = make_optimizer(network, spec.optimizer)
        schedule = make_schedule(optimizer, spec.schedule, epochs=3, steps_per_epoch=9)
        return load_checkpoint(folder.checkpoint_path, network, optimizer, schedule, run=run)

    for found in damaged(content, np.random.default_rng(0)):
        path.write_bytes(found)
        with pytest.raises(StorageError, match="delete its folder to train anew"):
            resume()
        assert verify_run(folder.path)[0] == "damaged"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=f"it is that of the run {spec.id}"):
        resume("another run")
    assert set(resume().rows) == {"epochs.jsonl", "layers.jsonl"}
    list(execute(spec, data, folder))
    assert verify_run(folder.path) == ("vouched", ())


def test_a_checkpoint_gives_back_what_it_was_given(make_plan, dataset, tmp_path: Path) -> None:
    """Every schedule's and optimizer's state, with the memory format of each tensor."""
    import torch

    study = Study.create(tmp_path / "study", make_plan(), dataset)
    spec = study.specs()[0]
    for name, schedule_name in (("sgd", "multistep"), ("adamw", "onecycle"), ("rmsprop", "cosine")):
        changed = spec.model_copy(
            update={
                "optimizer": spec.optimizer.model_copy(update={"name": name}),
                "schedule": spec.schedule.model_copy(
                    update={"name": schedule_name, "warmup_epochs": 1.0, "milestones": (1.0, 2.0)}
                ),
            }
        )

        def made(changed=changed):
            network = build_network(changed, "cpu").to(memory_format=torch.channels_last)
            optimizer = make_optimizer(network, changed.optimizer)
            schedule = make_schedule(optimizer, changed.schedule, epochs=3, steps_per_epoch=4)
            return network, optimizer, schedule

        network, optimizer, schedule = made()
        for _ in range(5):
            network(torch.randn(2, 3, 8, 8)).sum().backward()
            optimizer.step()
            schedule.step()
        best = dict(network.state_dict())
        save_checkpoint(tmp_path / name, 1, network, optimizer, schedule, best)
        others = made()
        back = load_checkpoint(tmp_path / name, *others)
        for one, other in zip((network, optimizer, schedule), others, strict=True):
            assert_same(one.state_dict(), other.state_dict())
        assert_same(best, back.best_weights)


def assert_same(one: object, other: object) -> None:
    import torch

    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
        assert (one.dtype, one.stride()) == (other.dtype, other.stride())
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert type(one) is type(other)
        for own, their in zip(one, other, strict=True):
            assert_same(own, their)
    else:
        assert one == other


def test_the_plan_is_not_rewritten_while_another_process_runs_the_study(
    study: Study, pictures: Path, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NORMLAB_CACHE", str(tmp_path / "cache"))
    before = study.path.read_bytes()
    with study_lock(study.folder):
        command = ["run", str(study.folder), "--blocks", "3", "--data", str(pictures), "--yes"]
        found = CliRunner().invoke(app, command)
        assert isinstance(found.exception, PlanError)
        assert "another process is running" in str(found.exception)
        with pytest.raises(PlanError, match="another process is running"):
            Study.open(study.folder).set_blocks(5)
        assert study.path.read_bytes() == before
    study.set_blocks(5)
    assert Study.open(study.folder).plan.blocks == 5


def test_an_open_run_has_no_vouched_files(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    RunFolder(tmp_path / "run").check_file("weights.safetensors")  # nobody says what it should be
    assert verify_run(tmp_path / "run")[0] == "damaged"
