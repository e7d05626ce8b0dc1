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
    assert measures.macro_f1 == pytest.approx(expected, abs=1e-6)
