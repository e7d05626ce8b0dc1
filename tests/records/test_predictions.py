"""Predictions agree with the figures of their outcome, which scikit-learn computes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss

from normlab.errors import StorageError
from normlab.records.predictions import Predictions, check_agreement
from normlab.records.run import Measures

PATH = Path("predictions.npz")


def made(seed: int, images: int = 60, classes: int = 5) -> tuple[Predictions, Measures]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes - 1, images)  # the last class may not occur
    shares = random.dirichlet(np.ones(classes), images).astype(np.float32)
    exact = shares.astype(float)
    predicted = shares.argmax(1)
    accuracy = accuracy_score(labels, predicted)
    measures = Measures(
        loss=log_loss(labels, exact / exact.sum(1, keepdims=True), labels=range(classes)),
        accuracy=accuracy,
        micro_f1=accuracy,
        macro_f1=f1_score(labels, predicted, average="macro"),
        images=images,
    )
    return Predictions(np.array([str(n) for n in range(images)]), labels, shares), measures


@pytest.mark.parametrize("seed", range(5))
def test_they_agree_with_scikit_learn(seed: int) -> None:
    predictions, measures = made(seed)
    check_agreement(predictions, measures, 5, PATH)


@pytest.mark.parametrize(
    ("key", "by", "said"),
    [("accuracy", 1 / 60, "its accuracy"), ("macro_f1", 0.001, "its macro F1"),
     ("loss", 0.1, "its loss"), ("images", 1, "60 images, the outcome 61")],
)  # fmt: skip
def test_another_figure_is_named(key: str, by: float, said: str) -> None:
    predictions, measures = made(0)
    other = measures.model_copy(update={key: getattr(measures, key) + by})
    with pytest.raises(StorageError, match=f"does not agree with the run's outcome: .*{said}"):
        check_agreement(predictions, other, 5, PATH)


def test_what_is_no_prediction_is_named() -> None:
    predictions, measures = made(0)
    shares = predictions.probabilities
    for other in (
        replace(predictions, probabilities=shares * 1.1),
        replace(predictions, probabilities=np.where(shares > 0.9, np.nan, -shares)),
        replace(predictions, probabilities=shares[:, :4]),
        replace(predictions, probabilities=shares[:0]),
        replace(predictions, labels=predictions.labels + 4),
        replace(predictions, labels=predictions.labels[:-1]),
        replace(predictions, ids=predictions.ids[:-1]),
        replace(predictions, labels=predictions.labels.astype(float)),
    ):
        with pytest.raises(StorageError, match="delete the run's folder"):
            check_agreement(other, measures, 5, PATH)


def test_a_tie_leaves_both_answers_open() -> None:
    shares = np.array([[0.5, 0.5], [0.9, 0.1]], np.float32)
    predictions = Predictions(np.array(["1", "2"]), np.array([1, 0]), shares)
    loss = float(-np.log([0.5, 0.9]).mean())
    for accuracy in (0.5, 1.0):
        found = Measures(
            loss=loss, accuracy=accuracy, micro_f1=accuracy, macro_f1=accuracy, images=2
        )
        check_agreement(predictions, found, 2, PATH)
    with pytest.raises(StorageError, match="its accuracy"):
        check_agreement(predictions, found.model_copy(update={"accuracy": 0.0}), 2, PATH)
