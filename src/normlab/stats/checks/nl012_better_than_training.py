"""NL012: evaluation accuracy far above training accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence

from normlab.records.plan import StudyPlan
from normlab.records.run import Measures
from normlab.records.store import RunRecord
from normlab.stats.checks.check import Check, listed

CODE = "NL012"
TITLE = "Evaluation is not better than training"
STANDARD_ERRORS = 3.0
"""Two-sided p = .003 a run: rare enough for a study of some hundred runs."""


def check_better_than_training(plan: StudyPlan, runs: Sequence[RunRecord]) -> Check:
    """Evaluation minus training accuracy (both in evaluation mode), against its sampling error.

    More than 3 standard errors above is not luck: the parts are of another difficulty, share
    images, or were mixed up.
    """
    compared = 0
    faults = []
    for run in runs:
        outcome = run.outcome
        if outcome is None or outcome.train is None or outcome.evaluation is None:
            continue
        compared += 1
        if excess(outcome.train, outcome.evaluation) > STANDARD_ERRORS:
            faults.append(
                f"{run.spec.arm}, block {run.spec.block}: evaluation "
                f"{outcome.evaluation.accuracy:.4f}, training {outcome.train.accuracy:.4f}"
            )
    if not compared:
        return Check(CODE, TITLE, "not applicable", "warning", "no run has both figures yet")
    if faults:
        return Check(CODE, TITLE, "finding", "warning", listed(faults))
    return Check(CODE, TITLE, "passed", "warning", f"in all {compared} runs")


def excess(train: Measures, evaluation: Measures) -> float:
    """z of two shares with pooled share p:  (p_e − p_t) / √(p(1 − p)(1/n_e + 1/n_t)).

    0 where both are 0 or both 1 and no error can be estimated.
    """
    n_train, n_evaluation = train.images, evaluation.images
    correct = train.accuracy * n_train + evaluation.accuracy * n_evaluation
    pooled = correct / (n_train + n_evaluation)
    variance = pooled * (1 - pooled) * (1 / n_train + 1 / n_evaluation)
    if not variance > 0:
        return 0.0
    return (evaluation.accuracy - train.accuracy) / math.sqrt(variance)
