"""The four figures against counts by hand and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from normlab.train.metrics import measure


def test_by_hand() -> None:
    labels = torch.tensor([0, 0, 1, 1, 2])
    predicted = torch.tensor([0, 1, 1, 1, 0])
    losses = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    measures = measure(losses, predicted, labels, 3)
    assert measures.loss == 3.0
    assert measures.accuracy == pytest.approx(3 / 5)
    # class 0: tp 1, fp 1, fn 1; class 1: tp 2, fp 1, fn 0; class 2: tp 0, fp 0, fn 1
    assert measures.macro_f1 == pytest.approx((1 / 2 + 4 / 5 + 0) / 3)
    assert measures.images == 5


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 9), st.integers(1, 300), st.integers(0, 2**31))
def test_against_scikit_learn(classes: int, count: int, seed: int) -> None:
    """Micro F1 is the accuracy, to the last bit; macro F1 is scikit-learn's."""
    generator = np.random.default_rng(seed)
    labels, predicted = generator.integers(0, classes, (2, count))
    measures = measure(
        torch.zeros(count), torch.from_numpy(predicted), torch.from_numpy(labels), classes
    )
    assert measures.micro_f1 == measures.accuracy
    assert measures.accuracy == pytest.approx((labels == predicted).mean(), abs=1e-7)
    expected = f1_score(labels, predicted, average="macro")
    assert measures.macro_f1 == pytest.approx(expected, abs=3e-7)  # float32


@pytest.mark.parametrize(
    ("classes", "count", "seed", "accuracy", "macro_f1"),
    [
        (2, 7, 0, 0.1428571492433548, 0.125),
        (3, 100, 1, 0.30000001192092896, 0.29928961396217346),
        (5, 143, 2, 0.20279720425605774, 0.2005840688943863),
        (7, 1280, 3, 0.22734375298023224, 0.1824278086423874),  # two classes never occur
        (10, 999, 4, 0.09709709882736206, 0.09638404101133347),
    ],
)
def test_the_bits_of_earlier_records(classes, count, seed, accuracy, macro_f1) -> None:
    """Values that torchmetrics 1.9.0 gave, with which the first records were written."""
    generator = np.random.default_rng(seed)
    labels, predicted = generator.integers(0, classes, (2, count))
    if classes == 7:
        labels, predicted = labels % 4, predicted % 5
    measures = measure(
        torch.zeros(count), torch.from_numpy(predicted), torch.from_numpy(labels), classes
    )
    assert (measures.accuracy, measures.micro_f1) == (accuracy, accuracy)
    assert measures.macro_f1 == macro_f1
