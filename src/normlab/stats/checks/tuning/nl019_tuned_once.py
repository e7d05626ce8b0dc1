"""NL019: tuned once, not anew in every block."""

from __future__ import annotations

from normlab.stats.checks.base import (
    Result,
    StudyToCheck,
    check,
    finding,
    not_applicable,
    passed,
)
from normlab.stats.inference.verdict import tuned_once


@check("NL019", "Every block is tuned anew", severity="warning")
def tuning_of_blocks(study: StudyToCheck) -> Result:
    """Whether one tuning chose the rates of all blocks.

    Its luck is then part of every block, and more blocks only make it surer: equal arms were called
    different in 24 to 40 % of simulated studies.
    """
    if study.plan.tuning is None:
        return not_applicable("nothing is tuned")
    if tuned_once(study.plan):
        return finding("one tuning chose the rates of all blocks, so its luck is not told apart "
                       "from a difference between arms; the verdict is exploratory")  # fmt: skip
    return passed("every block chose its own rates")
