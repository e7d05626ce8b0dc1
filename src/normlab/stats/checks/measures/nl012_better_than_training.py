"""NL012: test accuracy far above training accuracy."""

from __future__ import annotations

import math

from normlab.records.run import Measures
from normlab.stats.checks.base import (
    Result,
    StudyToCheck,
    check,
    finding,
    listed,
    not_applicable,
    passed,
)

STANDARD_ERRORS = 3.0
"""Two-sided p = .003 a run: rare enough for a study of some hundred runs."""


@check("NL012", "Test is not better than training", severity="warning")
def better_than_training(study: StudyToCheck) -> Result:
    """Test minus training accuracy (both in evaluation mode), against its sampling error.

    More than 3 standard errors above is not luck: the parts are of another difficulty, share
    images, or were mixed up.
    """
    compared = 0
    faults = []
    for run in study.runs:
        outcome = run.outcome
        if outcome is None or outcome.train is None or outcome.test is None:
            continue
        compared += 1
        if excess(outcome.train, outcome.test) > STANDARD_ERRORS:
            faults.append(
                f"{run.spec.arm}, block {run.spec.block + 1}: test "
                f"{outcome.test.accuracy:.4f}, training {outcome.train.accuracy:.4f}"
            )
    if not compared:
        return not_applicable("no run has both figures yet")
    if faults:
        return finding(listed(faults))
    return passed(f"in all {compared} runs")


def excess(train: Measures, test: Measures) -> float:
    """z of two shares with pooled share p:  (p_e − p_t) / √(p(1 − p)(1/n_e + 1/n_t)).

    0 where both are 0 or both 1 and no error can be estimated.
    """
    n_train, n_test = train.images, test.images
    correct = train.accuracy * n_train + test.accuracy * n_test
    pooled = correct / (n_train + n_test)
    variance = pooled * (1 - pooled) * (1 / n_train + 1 / n_test)
    if not variance > 0:
        return 0.0
    return (test.accuracy - train.accuracy) / math.sqrt(variance)
