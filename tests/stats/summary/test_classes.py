from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from normlab.records.store import Predictions, RunFolder
from normlab.stats.data.layout import arrange
from normlab.stats.summary.classes import (
    class_differences,
    class_table,
    collect,
    confused_pairs,
    mean_recall,
)

CLASSES = ("a", "b", "c")
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2])


def predictions(named):
    named = np.array(named)
    return Predictions(
        np.array([f"{i}.jpg" for i in range(len(LABELS))]),
        LABELS,
        np.eye(3, dtype=np.float32)[named] * 0.8 + 0.2 / 3,
    )


def write_predictions(run, found):
    """As if the run had made them: its outcome vouches for its files."""
    folder = RunFolder(run.folder)
    folder.write_predictions(found)
    folder.write_outcome(run.outcome)


@pytest.fixture
def study(fabricate, tmp_path):
    def make(named, blocks=2):
        plan = fabricate.make_plan(norms=("bn", "gn"), blocks=blocks, classes=CLASSES)
        runs = fabricate.write_study(tmp_path, plan, fabricate.make_runs(plan))
        for run in runs:
            key = (run.spec.arm, run.spec.block)
            if key in named:
                write_predictions(run, predictions(named[key]))
        return runs, arrange(plan, runs)[0]

    return make


def right(**wrong):
    """Everything right but image i, which is named v: right(i3=1)."""
    named = LABELS.copy()
    for key, value in wrong.items():
        named[int(key[1:])] = value
    return named


def test_recall_and_confusions_by_hand(study):
    _, layout = study(
        {
            ("bn", 0): right(i0=1),
            ("bn", 1): right(i0=1, i1=2),
            ("gn", 0): right(),
            ("gn", 1): right(i4=0),
        }
    )
    table = class_table(layout, collect(layout))
    assert table.blocks == (0, 1)
    assert table.images.tolist() == [4, 4, 4]
    assert mean_recall(table).tolist() == [[(0.75 + 0.5) / 2, 1.0, 1.0], [1.0, 0.875, 1.0]]
    assert table.confusion[0].tolist() == [[5, 2, 1], [0, 8, 0], [0, 0, 8]]
    pair = confused_pairs(table)[0]
    assert (pair.true, pair.predicted, pair.shares) == ("a", "b", (2 / 8, 0.0))
    assert len(confused_pairs(table)) == 3


def test_differences_are_corrected_over_all_classes(study):
    named = {("bn", b): right() for b in range(4)}
    named |= {("gn", b): right(i0=1, **({"i1": 1} if b else {})) for b in range(4)}
    _, layout = study(named, blocks=4)
    table = class_table(layout, collect(layout))
    found = {d.name: d for d in class_differences(table, "bn", 0.05)}
    p = stats.ttest_1samp([-0.25, -0.5, -0.5, -0.5], 0).pvalue
    assert found["a"].difference.mean == pytest.approx(-0.4375)
    assert found["a"].difference.p_value == pytest.approx(p)
    assert found["a"].adjusted_p == pytest.approx(3 * p)  # Holm: the smallest of three
    assert found["b"].adjusted_p == 1.0
    assert class_differences(table, "none", 0.05) == ()


def test_what_cannot_be_counted_is_named(study):
    runs, layout = study({(arm, b): right() for arm in ("bn", "gn") for b in range(4)}, blocks=4)
    (runs[0].folder / "predictions.npz").unlink()
    (runs[1].folder / "predictions.npz").write_bytes(b"PK half")
    other = Predictions(np.array(["z.jpg"]), np.array([0]), np.ones((1, 3), np.float32) / 3)
    write_predictions(runs[2], other)
    table = class_table(layout, collect(layout))
    assert len(table.left_out) == 3
    assert any("no readable predictions" in text for text in table.left_out)
    assert table.blocks == (2, 3) or len(table.blocks) == 2


def test_an_arm_with_few_predictions_does_not_take_the_others_blocks(study):
    runs, layout = study({(arm, b): right() for arm in ("bn", "gn") for b in range(4)}, blocks=4)
    for run in runs:
        if run.spec.arm == "gn" and run.spec.block > 0:
            (run.folder / "predictions.npz").unlink()
    table = class_table(layout, collect(layout))
    assert (table.arms, table.blocks) == (("bn",), (0, 1, 2, 3))
    assert "gn kept predictions in 1 blocks" in table.left_out


def test_without_any_there_is_no_table(study):
    runs, layout = study({})
    for run in runs:
        (run.folder / "predictions.npz").unlink()
    assert class_table(layout, collect(layout)) is None
