"""Losses under changes, from rows that can be worked out by hand."""

from __future__ import annotations

import re

import numpy as np
import pytest

from normlab.errors import StorageError
from normlab.records.robustness import (
    AS_IT_IS,
    COMPOSITION,
    COMPOSITIONS,
    ROBUSTNESS,
    RobustnessRow,
    append_robustness,
    latest,
    read_robustness,
)
from normlab.stats.data.layout import arrange
from normlab.stats.inference.intervals import paired_difference
from normlab.stats.summary.robustness import LEVELS, robustness_table


def rows_of(run, clean: float, lost: float, batches: bool) -> list[RobustnessRow]:
    """Contrast of level k costs k/3 of `lost`, so that the mean over five is `lost`."""
    values = {(AS_IT_IS, "0"): clean}
    values |= {("contrast", level): clean - lost * int(level) / 3 for level in LEVELS}
    if batches:
        values |= {(COMPOSITION, level): clean / 2 for level in COMPOSITIONS}
    return [
        RobustnessRow(run=run.folder.name, change=c, level=x, accuracy=a, images=100, seed=0)
        for (c, x), a in values.items()
    ]


@pytest.fixture
def layout(fabricate, tmp_path):
    plan = fabricate.make_plan(("bn", "in", "gn"), blocks=4)
    runs = fabricate.write_study(tmp_path / "study", plan, fabricate.make_runs(plan))
    (layout,) = arrange(plan, runs)
    return layout


LOST = {"bn": (0.30, 0.31, 0.29, 0.32), "in": (0.05, 0.06, 0.03, 0.07), "gn": (0.3, 0.2, 0.4, 0.33)}


@pytest.fixture
def rows(layout):
    return [
        row
        for arm, lost in LOST.items()
        for block in layout.blocks
        for row in rows_of(layout.record(arm, block), 0.8, lost[block], arm == "bn")
    ]


def test_losses_and_their_differences(layout, rows) -> None:
    table = robustness_table(layout, rows, "bn", 0.05)
    assert table.changes == ("contrast", COMPOSITION)
    assert (table.blocks, table.images, table.reference) == (4, 100, "bn")
    loss = table.loss("in", "contrast")
    assert loss.loss.mean == pytest.approx(0.0525)
    own = [a - b for a, b in zip(LOST["in"], LOST["bn"], strict=True)]
    expected = paired_difference(np.array(own))
    assert loss.difference.interval.low == pytest.approx(expected.interval.low)
    assert loss.adjusted_p == pytest.approx(2 * expected.p_value)  # Holm over two arms
    assert loss.decision == "loses less"
    assert table.loss("gn", "contrast").decision == "undecided"
    assert table.loss("bn", "contrast").decision == ""


def test_points_are_means_over_the_blocks(layout, rows) -> None:
    table = robustness_table(layout, rows, "bn", 0.05)
    point = table.point("bn", "contrast", "3")
    assert point.accuracy.mean == pytest.approx(0.8 - 0.305)
    assert table.point("in", COMPOSITION, "8") is None
    assert table.point("bn", COMPOSITION, "8").accuracy.mean == pytest.approx(0.4)


def test_a_change_that_was_cut_off_is_not_judged(layout, rows) -> None:
    part = [row for row in rows if row.condition != ("contrast", "5")]
    assert robustness_table(layout, part, "bn", 0.05).changes == (COMPOSITION,)


def test_without_rows_without_table(layout, rows) -> None:
    assert robustness_table(layout, [], "bn", 0.05) is None
    other = [row.model_copy(update={"run": "elsewhere"}) for row in rows]
    assert robustness_table(layout, other, "bn", 0.05) is None


def test_a_missing_reference_compares_nothing(layout, rows) -> None:
    own = [row for row in rows if "-bn-" not in row.run]
    table = robustness_table(layout, own, "bn", 0.05)
    assert table.reference is None
    assert table.loss("in", "contrast").difference is None


def test_rows_are_kept_and_damage_is_named(rows, tmp_path) -> None:
    append_robustness(tmp_path, rows[:3])
    append_robustness(tmp_path, rows[3:5])
    assert read_robustness(tmp_path) == tuple(rows[:5])
    twice = [*rows[:2], rows[0].model_copy(update={"accuracy": 0.1})]
    assert [row.accuracy for row in latest(twice)] == [0.1, rows[1].accuracy]
    path = tmp_path / ROBUSTNESS
    written = path.read_text()
    assert rows[0].accuracy != 0.123
    path.write_text(re.sub(r'"accuracy":[\d.]+', '"accuracy":0.123', written, count=1))
    with pytest.raises(StorageError, match="is damaged; delete it"):  # well-formed, but changed
        read_robustness(tmp_path)
    path.write_text(re.sub(r',"crc32":"\w+"', "", written))  # as it was before there were sums
    assert read_robustness(tmp_path) == tuple(rows[:5])
    path.write_text("nonsense\n")
    with pytest.raises(StorageError, match="is damaged; delete it"):
        read_robustness(tmp_path)
