"""Accuracy of finished runs on changed images, on a real study of two arms."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from normlab.data.split import make_split
from normlab.errors import InterruptedRunError, UnknownNameError, UsageError
from normlab.explain.robustness import (
    batches_of,
    finished_runs,
    measure_robustness,
    right_in_batches,
)
from normlab.records.robustness import AS_IT_IS, COMPOSITION, ROBUSTNESS, latest, read_robustness
from normlab.records.store import RunFolder
from normlab.serving.predictor import Predictor


@pytest.fixture
def copy(study, tmp_path):
    """The study's folder, to be written to."""
    shutil.copytree(study.folder, tmp_path / "study")
    (tmp_path / "study" / ROBUSTNESS).unlink(missing_ok=True)
    return tmp_path / "study"


def test_as_it_is_is_the_accuracy_of_the_outcome(study, copy) -> None:
    data = study.load_data()
    assert measure_robustness(copy, data, changes=["jpeg"]) == 2 * 6
    rows = read_robustness(copy)
    for run in finished_runs(copy):
        clean = [r for r in rows if r.run == run.folder.name and r.change == AS_IT_IS]
        assert clean[0].accuracy == pytest.approx(run.outcome.test.accuracy)
        assert clean[0].images == run.outcome.test.images


def test_what_was_measured_is_not_measured_again(study, copy) -> None:
    data = study.load_data()
    measure_robustness(copy, data, changes=["blur"])
    assert measure_robustness(copy, data, changes=["blur"]) == 0
    assert measure_robustness(copy, data, changes=["blur"], seed=1) == 2 * 6
    assert {row.seed for row in latest(read_robustness(copy))} == {1}


def test_it_can_be_stopped_and_goes_on_to_the_same_rows(study, copy) -> None:
    data = study.load_data()

    def between(conditions):
        for number, condition in enumerate(conditions):
            if number == 4:
                raise InterruptedRunError("stopped")
            yield condition

    with pytest.raises(InterruptedRunError):
        measure_robustness(copy, data, changes=["noise", "rotation"], between=between)
    assert len(read_robustness(copy)) == 2 * 4
    with (copy / ROBUSTNESS).open("a") as file:
        file.write('{"run": "b00')  # and the process died while writing
    measure_robustness(copy, data, changes=["noise", "rotation"])
    first = {(r.run, *r.condition): r.accuracy for r in read_robustness(copy)}
    (copy / ROBUSTNESS).unlink()
    measure_robustness(copy, data, changes=["noise", "rotation"])
    assert first == {(r.run, *r.condition): r.accuracy for r in read_robustness(copy)}


def test_batches_only_matter_where_statistics_run(study, copy) -> None:
    measure_robustness(copy, study.load_data(), changes=[COMPOSITION])
    tried = {row.run for row in read_robustness(copy) if row.change == COMPOSITION}
    assert len(tried) == 1
    assert "-bn-" in tried.pop()


def test_the_networks_are_left_as_they_were(study) -> None:
    run = next(r for r in finished_runs(study.folder) if r.spec.arm == "bn")
    predictor = Predictor.load(run.folder)
    before = {name: t.clone() for name, t in predictor.network.state_dict().items()}
    data = study.load_data()
    part = make_split(data.manifest, run.spec.data, 0, 0).test
    right_in_batches(predictor, data.images[part], data.manifest.labels[part], "8", 0)
    assert not predictor.network.training
    for name, tensor in predictor.network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_one_batch_of_all_is_training_mode(study) -> None:
    run = next(r for r in finished_runs(study.folder) if r.spec.arm == "bn")
    predictor = Predictor.load(run.folder)
    data = study.load_data()
    part = make_split(data.manifest, run.spec.data, 0, 0).test
    pixels, labels = data.images[part], data.manifest.labels[part]
    right = right_in_batches(predictor, pixels, labels, "32", 0)  # fewer than 64: one batch
    assert len(batches_of(labels, "32", 0)) == 1
    images = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255.0).float()
    images = (images - predictor.mean[:, None, None]) / predictor.std[:, None, None]
    with torch.inference_mode():
        predicted = predictor.network.train()(images).argmax(1).numpy()
    assert right == int((predicted == labels).sum())


def test_every_image_is_in_one_batch() -> None:
    labels = np.repeat(np.arange(3), [40, 3, 70])
    for composition in ("32", "8", "2", "one class"):
        batches = batches_of(labels, composition, seed=0)
        assert sorted(np.concatenate(batches)) == list(range(113))
    for batch in batches_of(labels, "one class", 0):
        assert len(set(labels[batch])) == 1
    assert min(map(len, batches_of(labels, "2", 0))) == 2


def test_fewer_images_are_a_part_of_the_evaluation_part(study, copy) -> None:
    measure_robustness(copy, study.load_data(), images=5, changes=["jpeg"])
    assert {row.images for row in read_robustness(copy)} == {5}


def test_bad_input(study, copy, tmp_path) -> None:
    data = study.load_data()
    with pytest.raises(UnknownNameError, match="unknown change 'fog'"):
        measure_robustness(copy, data, changes=["fog"])
    with pytest.raises(UnknownNameError, match="unknown finished arm 'in'"):
        measure_robustness(copy, data, arms=["in"])
    for path in (copy / "runs").glob("*/outcome.json"):
        path.unlink()
    with pytest.raises(UsageError, match="no finished run"):
        measure_robustness(copy, data)
    assert RunFolder(next((copy / "runs").iterdir())).read_outcome() is None
