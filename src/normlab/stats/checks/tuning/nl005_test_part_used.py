"""NL005: the test part was used to select something."""

from __future__ import annotations

from normlab.stats.checks.base import (
    Result,
    StudyToCheck,
    check,
    finding,
    listed,
    not_applicable,
    passed,
)


@check("NL005", "The test part selects nothing", severity="error")
def selecting_on_test(study: StudyToCheck) -> Result:
    """Three ways in which the part that reports may have chosen, as far as records show them.

    The test and validation figures of a run are the same to the last digit in all four metrics
    (one part under two names); the reported epoch is not the last and not the best on the
    validation part; a block served for tuning and for the comparison.
    """
    ended = [run for run in study.runs if run.outcome is not None and run.outcome.test is not None]
    if not ended:
        return not_applicable("no run has been evaluated yet")
    faults = []
    for run in ended:
        outcome = run.outcome
        assert outcome is not None
        name = f"{run.spec.arm}, block {run.spec.block + 1}"
        if outcome.validation == outcome.test:
            faults.append(f"{name}: validation and test figures are the same")
        epoch = outcome.reported_epoch
        last = min(outcome.epochs, len(run.rows))  # rows are 1, 2, 3, …
        if epoch is None or not last or epoch == last:
            continue
        rows = run.rows[:last]
        best = max(row.validation.accuracy for row in rows)
        reported = [row.validation.accuracy for row in rows if row.epoch == epoch]
        if run.spec.patience is None or (reported and reported[0] < best):
            faults.append(f"{name}: epoch {epoch} is reported, though validation does not say so")
    if study.tuning_results is not None:
        both = sorted({run.spec.block for run in study.runs} & set(study.tuning_results.blocks))
        faults += [f"block {block + 1} served for tuning and for the comparison" for block in both]
    if faults:
        return finding(listed(faults))
    return passed(
        f"in all {len(ended)} runs epochs and settings were chosen on the validation part"
    )
