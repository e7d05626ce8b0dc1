from __future__ import annotations

from dataclasses import replace

from normlab.stats.checks.base import StudyToCheck
from normlab.stats.checks.measures.nl009_micro_f1 import micro_f1


def test_table_6_of_the_original_is_found(study, with_measures):
    plan, runs = study
    wrong = with_measures(runs[1], "train", accuracy=0.9399, micro_f1=0.9839)
    check = micro_f1(StudyToCheck(plan, [wrong]))
    assert check.message == "gn, block 1, outcome, train: micro F1 0.9839, accuracy 0.9399"


def test_a_row_of_an_epoch_is_looked_at_too(study):
    plan, runs = study
    row = runs[0].rows[2]
    validation = row.validation.model_copy(update={"micro_f1": row.validation.micro_f1 + 1e-4})
    rows = (*runs[0].rows[:2], row.model_copy(update={"validation": validation}))
    check = micro_f1(StudyToCheck(plan, [replace(runs[0], rows=rows)]))
    assert check.message.startswith("bn, block 1, epoch 3, validation")


def test_rounding_is_no_finding(study, with_measures):
    plan, runs = study
    accuracy = runs[0].outcome.test.accuracy
    rounded = with_measures(runs[0], "test", micro_f1=accuracy + 1e-7)
    assert micro_f1(StudyToCheck(plan, [rounded])).state == "passed"
