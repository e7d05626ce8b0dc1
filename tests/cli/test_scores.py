"""Scores of predictions, for two classes and for a thousand."""

from __future__ import annotations

import numpy as np

from normlab.cli.screen.scores import score_lines


def test_two_classes_have_a_matrix() -> None:
    lines = list(score_lines(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), ("cat", "dog")))
    assert lines[0] == ("4 images with a label: accuracy 75.0 % · micro F1 75.0 · macro F1 73.3")
    assert lines[2].split() == ["cat", "dog"]
    assert lines[3].split() == ["cat", "1", "1"]
    assert lines[4].split() == ["dog", "·", "2"]


def test_a_thousand_classes_have_their_confusions() -> None:
    true = np.arange(1000)
    said = true.copy()
    said[:3] = 7
    names = [f"class {n} {'x' * 80}" for n in range(1000)]
    lines = list(score_lines(true, said, names))
    assert lines[0].startswith("1,000 images with a label: accuracy 99.7 %")
    assert lines[1] == "most often confused (true → predicted)"
    assert len(lines) == 5
    assert all(" → class 7 " in line for line in lines[2:])


def test_columns_have_whole_names_or_the_numbers_of_the_rows() -> None:
    true, said = np.array([0, 1, 2]), np.array([0, 2, 2])
    names = ("longsleeve", "shorts", "t-shirt")
    wide = list(score_lines(true, said, names))
    assert wide[2].split() == list(names)
    narrow = list(score_lines(true, said, names, width=40))
    assert narrow[2].split() == ["1", "2", "3"]
    assert narrow[3].split() == ["1", "longsleeve", "1", "·", "·"]
    assert narrow[4].split() == ["2", "shorts", "·", "·", "1"]
