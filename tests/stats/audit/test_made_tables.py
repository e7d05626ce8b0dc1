"""The benchmark of made tables in short: clean and injected ones, every format."""

from __future__ import annotations

import numpy as np


def test_recall_and_no_false_certain_finding(made) -> None:
    result = made.measure(tables=39, seed=7)
    assert result["all"]["clean"] == 39
    assert result["all"]["false"] == 0
    assert result["all"]["found"] == 39
    assert set(made.FORMATS) <= set(result)


def test_the_measure_can_fail(made, tmp_path) -> None:
    generator = np.random.default_rng(3)
    clean = made.make(generator)
    changed = made.inject(made.make(generator), generator)
    assert made.found(changed, made.audited(changed, "markdown", tmp_path))
    assert not made.found(changed, made.audited(clean, "markdown", tmp_path))
