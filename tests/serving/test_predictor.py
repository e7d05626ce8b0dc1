"""Predictions of a stored run: those that it reported, and pixels given as lines of values."""

from __future__ import annotations

import re

import numpy as np
import pytest
import safetensors
import torch
from safetensors.torch import load_file, save_file

from normlab.data.decode import decode
from normlab.errors import DataError, StorageError, UsageError
from normlab.records.run import DataSpec
from normlab.serving.predictor import Predictor, images_of_values
from normlab.study.study import Study

EIGHT = DataSpec(fingerprint="f", classes=("a", "b"), image_size=8)


@pytest.fixture
def finished(make_plan, dataset, tmp_path):
    """A study of one run, at 8 px."""
    plan = make_plan(factors={"norm": ["bn"], "batch_size": [4], "learning_rate": [0.02]})
    study = Study.create(tmp_path / "study", plan, dataset)
    list(study.run(dataset))
    return study.run_folder(study.specs()[0])


def test_the_evaluation_images_get_their_stored_probabilities(finished, pictures) -> None:
    """Read from disk again, decoded again, in batches of another size."""
    stored = finished.read_predictions()
    predictor = Predictor.load(finished.path)
    images = [decode((pictures / name).read_bytes(), 8, "squash")[0] for name in stored.ids]
    found = np.stack(list(predictor.probabilities(images, batch_size=4)))
    np.testing.assert_allclose(found, stored.probabilities, rtol=1e-5, atol=1e-6)
    assert found.argmax(1).tolist() == stored.probabilities.argmax(1).tolist()


def test_the_order_of_the_images_is_kept(finished, pictures) -> None:
    paths = sorted(pictures.rglob("*.png"))
    images = [decode(path.read_bytes(), 8, "squash")[0] for path in paths]
    predictor = Predictor.load(finished.path)
    forward = list(predictor.probabilities(images, batch_size=5))
    backward = list(predictor.probabilities(images[::-1], batch_size=5))
    np.testing.assert_allclose(forward, backward[::-1], rtol=1e-5, atol=1e-6)
    assert len(forward) == len(paths)
    assert np.ptp(forward, axis=0).max() > 1e-3  # or any order would do


def test_no_images_give_no_predictions(finished) -> None:
    assert list(Predictor.load(finished.path).probabilities([])) == []


def test_missing_weights(tmp_path) -> None:
    with pytest.raises(UsageError, match=r"no weights at .*; finish the run first"):
        Predictor.load(tmp_path)


def seal_again(run) -> None:
    """Vouch for files that a test has changed, so that what reads them is tried."""
    run.write_outcome(run.read_outcome())


def test_damaged_weights(finished) -> None:
    content = finished.weights_path.read_bytes()
    finished.weights_path.write_bytes(content[:100])
    with pytest.raises(StorageError, match="was changed after the run had ended"):
        Predictor.load(finished.path)
    seal_again(finished)
    with pytest.raises(StorageError, match="is damaged or not a normlab file"):
        Predictor.load(finished.path)


def test_weights_of_another_program(finished) -> None:
    save_file(load_file(finished.weights_path), finished.weights_path)
    seal_again(finished)
    with pytest.raises(StorageError, match="is damaged or not a normlab file"):
        Predictor.load(finished.path)


def test_weights_that_do_not_fit(finished) -> None:
    with safetensors.safe_open(finished.weights_path, framework="pt") as file:
        metadata = file.metadata()
    save_file({"other": torch.zeros(1)}, finished.weights_path, metadata)
    seal_again(finished)
    with pytest.raises(StorageError, match="do not fit cifar-resnet8"):
        Predictor.load(finished.path)


# --- lines of values


def line_of(pixels: np.ndarray) -> str:
    """An (h, w, 3) image as the course wrote it: all red, then all green, then all blue."""
    return ",".join(str(value) for channel in range(3) for value in pixels[:, :, channel].ravel())


def test_3072_values_are_channel_by_channel_row_by_row() -> None:
    """By hand: the 1st value is red at the top left, the 34th red in row 1, column 1, …"""
    values = [0] * 3072
    values[0] = 11  # red, row 0, column 0
    values[33] = 22  # red, row 1, column 1
    values[1024 + 31] = 33  # green, row 0, column 31
    values[2048 + 32 * 31] = 44  # blue, row 31, column 0
    spec = EIGHT.model_copy(update={"image_size": 32})
    (image,) = images_of_values([",".join(map(str, values))], spec, "x.csv")
    assert image.shape == (32, 32, 3)
    assert image.dtype == np.uint8
    expected = np.zeros((32, 32, 3))
    expected[0, 0, 0], expected[1, 1, 0], expected[0, 31, 1], expected[31, 0, 2] = 11, 22, 33, 44
    np.testing.assert_array_equal(image, expected)


def test_lines_keep_their_order_and_empty_ones_are_passed_over() -> None:
    images = [np.full((8, 8, 3), value, np.uint8) for value in (3, 1, 2)]
    lines = [line_of(images[0]), "", line_of(images[1]) + "\n", "  \n", line_of(images[2])]
    found = list(images_of_values(lines, EIGHT, "x.csv"))
    assert [int(image[0, 0, 0]) for image in found] == [3, 1, 2]


def test_decimals_are_rounded() -> None:
    (image,) = images_of_values(["0.4,254.6,9.5"], EIGHT, "x.csv")
    assert image.shape == (8, 8, 3)
    assert image[0, 0].tolist() == [0, 255, 10]


def test_another_size_is_scaled() -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, 16:] = 200
    (image,) = images_of_values([line_of(pixels)], EIGHT, "x.csv")
    assert image.shape == (8, 8, 3)
    assert image[:, :3].max() < 20
    assert image[:, 5:].min() > 180


def test_a_csv_of_the_evaluation_images_gives_their_classes(finished, pictures) -> None:
    stored = finished.read_predictions()
    images = [decode((pictures / name).read_bytes(), 8, "squash")[0] for name in stored.ids]
    predictor = Predictor.load(finished.path)
    lines = [line_of(image) for image in images]
    found = list(predictor.probabilities(images_of_values(lines, predictor.spec.data, "x.csv")))
    np.testing.assert_allclose(found, stored.probabilities, rtol=1e-5, atol=1e-6)


GOOD = ",".join(["0"] * 192)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (",".join(["0"] * 3071), "x.csv line 2 has 3071 values, not 3·S·S"),
        (",".join(["0"] * 3073), "x.csv line 2 has 3073 values, not 3·S·S"),
        ("1,2", "x.csv line 2 has 2 values, not 3·S·S"),
        ("path,label", "x.csv line 2 is not numbers with commas"),
        (GOOD + ",", "x.csv line 2 is not numbers with commas"),
        ("1 2 3", "x.csv line 2 is not numbers with commas"),
        ("0,0,256", "x.csv line 2 has values outside of 0 to 255"),
        ("0,0,-1", "x.csv line 2 has values outside of 0 to 255"),
        ("0,0,nan", "x.csv line 2 has values outside of 0 to 255"),
        ("0,0,inf", "x.csv line 2 has values outside of 0 to 255"),
    ],
)
def test_what_is_no_image(line: str, sentence: str) -> None:
    with pytest.raises(DataError, match=re.escape(sentence)):
        list(images_of_values([GOOD, line], EIGHT, "x.csv"))
