"""NL006: running and batch statistics that disagree at the end of training."""

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


@check("NL006", "Running and batch statistics agree at the end", severity="warning")
def statistics_disagree(study: StudyToCheck) -> Result:
    """The validation part's accuracy with running statistics against that with its batches' own.

    More than 3 standard errors apart, the running statistics are not those of the network as it is
    (too few steps, too large a momentum, a rate that moves the weights too fast at the end): what
    is reported then is partly a matter of the moving average. `normlab.precise_statistics` helps.
    """
    compared = 0
    faults = []
    for run in study.runs:
        outcome = run.outcome
        if outcome is None or outcome.validation is None or outcome.validation_by_batches is None:
            continue
        compared += 1
        running, batches = outcome.validation, outcome.validation_by_batches
        if gap(running, batches) > STANDARD_ERRORS:
            faults.append(
                f"{run.spec.arm}, block {run.spec.block + 1}: {running.accuracy:.4f} with running, "
                f"{batches.accuracy:.4f} with batch statistics"
            )
    if not compared:
        return not_applicable(
            "no run keeps running statistics, or none has been measured with both"
        )
    if faults:
        return finding(listed(faults))
    return passed(f"in all {compared} runs that keep them")


def gap(first: Measures, second: Measures) -> float:
    """|p1 − p2| / √(2·p(1 − p)/n), p their mean: in standard errors of two samples of images."""
    share = (first.accuracy + second.accuracy) / 2
    error = math.sqrt(2 * share * (1 - share) / first.images)
    difference = abs(first.accuracy - second.accuracy)
    return difference / error if error > 0 else 0.0
