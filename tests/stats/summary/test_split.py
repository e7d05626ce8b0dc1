"""The split in words: what is said must be what was used."""

from __future__ import annotations

import pytest

from normlab.records.data_report import DataReport
from normlab.records.plan import DataPlan
from normlab.stats.summary.analysis import analyse
from normlab.stats.summary.methods import methods_paragraph
from normlab.stats.summary.split import curves_note, split_sentence

PLAN = DataPlan(source="photos", test_fraction=0.25, validation_fraction=0.1)


def record(*parts):
    return DataReport(
        source="photos", fingerprint="f", classes=("a", "b"), images=100,
        parts=dict.fromkeys(parts, 10), facts=(), findings=(), passed=(), seconds=0.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "test", "validation"),
    [
        ((), "test part is 25 % of the images, by class", "10 % of the others"),
        (("train", "val"), "test part is what the source calls val", "10 % of its training part"),
        (("train", "test"), "test part is that of the source", "10 % of its training part"),
        (("train", "val", "test"), "Validation and test part are those of the source", "the same"),
    ],
)
def test_each_kind_of_source_has_its_sentence(parts, test, validation):
    sentence = split_sentence(PLAN, record(*parts))
    assert test in sentence
    assert validation in sentence


def test_the_curves_say_where_validation_comes_from():
    assert "which each block cuts out of the training images" in curves_note(record("train", "val"))
    assert "the source's val part, is looked at once" in curves_note(record("train", "val"))
    assert "the source's own val part" in curves_note(record("train", "val", "test"))
    assert "which each block cuts" in curves_note(None)


def test_the_methods_name_the_split(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"))
    runs = fabricate.make_runs(plan)
    cut = methods_paragraph(analyse(plan, runs, data=record("train", "val")), runs)
    assert "A block fixes the validation part, the initial weights" in cut
    assert "The test part is what the source calls val" in cut
    given = methods_paragraph(analyse(plan, runs, data=record("train", "val", "test")), runs)
    assert "A block fixes the initial weights" in given
