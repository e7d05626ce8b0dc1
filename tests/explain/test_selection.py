"""The rules by which a gallery is chosen, on predictions made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.errors import UnknownNameError, UsageError
from normlab.explain.gallery import class_named
from normlab.explain.selection import choose_images, default_classes, named_classes
from normlab.records.store import Predictions

NAMES = ("a", "b", "c")


def predictions() -> Predictions:
    """Class a: 4 of 4 right; b: 1 of 4, the others taken for c; c: 2 of 3, one taken for a."""
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2])
    said = np.array([0, 0, 0, 0, 1, 2, 2, 2, 2, 2, 0])
    sure = np.array([0.9, 0.5, 0.7, 0.6, 0.8, 0.95, 0.55, 0.7, 0.6, 0.9, 0.5])
    probabilities = np.repeat((1 - sure[:, None]) / 2, 3, 1)
    probabilities[np.arange(11), said] = sure
    return Predictions(np.array([f"{i}.png" for i in range(11)]), labels, probabilities)


def test_default_classes() -> None:
    chosen = default_classes(predictions(), NAMES)
    assert [index for index, _ in chosen] == [0, 1, 2]
    assert chosen[0][1] == "most accurate"
    assert chosen[1][1] == "least accurate; most often confused: 3 taken for c"


def test_confident_and_unsure() -> None:
    (b,) = choose_images(predictions(), [(1, "")], NAMES, 2, "confident", 0)
    assert b.incorrect == (5, 7)
    assert b.correct == (4,)
    assert b.notes == ("b has 1 correct image",)
    (b,) = choose_images(predictions(), [(1, "")], NAMES, 2, "unsure", 0)
    assert b.incorrect == (6, 7)


def test_a_class_without_errors_is_said() -> None:
    (a,) = choose_images(predictions(), [(0, "")], NAMES, 2, "random", 0)
    assert a.incorrect == ()
    assert a.notes == ("a has no incorrect images",)


def test_the_random_choice_depends_on_seed_and_class_alone() -> None:
    alone = choose_images(predictions(), [(1, "")], NAMES, 2, "random", 3)[0]
    beside = choose_images(predictions(), [(0, ""), (1, "")], NAMES, 2, "random", 3)[1]
    assert alone == beside
    picks = {
        choose_images(predictions(), [(1, "")], NAMES, 2, "random", s)[0].incorrect
        for s in range(9)
    }
    assert len(picks) > 1


def test_bad_input() -> None:
    with pytest.raises(UnknownNameError, match="unknown class 'B'; did you mean 'b'"):
        named_classes(["B"], NAMES)
    with pytest.raises(UnknownNameError, match="rule"):
        choose_images(predictions(), [(0, "")], NAMES, 2, "best", 0)
    with pytest.raises(UsageError, match="at least 1"):
        choose_images(predictions(), [(0, "")], NAMES, 0, "random", 0)


def test_a_class_that_is_named_like_a_choice() -> None:
    """With --of true the map is for each image's own class; class:true is a class "true"."""
    names = ("false", "true", "class:x")
    assert class_named("class:true", names) == "true"
    assert class_named("false", names) == "false"
    assert class_named("class:x", names) == "class:x"
