"""NL005: the evaluation part was used to select something."""

from __future__ import annotations

from collections.abc import Sequence

from normlab.records.plan import StudyPlan
from normlab.records.store import RunRecord
from normlab.records.tuning_results import Ledger
from normlab.stats.checks.check import Check, listed

CODE = "NL005"
TITLE = "The evaluation part selects nothing"


def check_evaluation_used(
    plan: StudyPlan, runs: Sequence[RunRecord], ledger: Ledger | None
) -> Check:
    """Three ways in which the part that reports may have chosen, as far as records show them.

    The evaluation and selection figures of a run are the same to the last digit in all four metrics
    (one part under two names); the reported epoch is not the last and not the best on the selection
    part; a block served for tuning and for the comparison.
    """
    ended = [run for run in runs if run.outcome is not None and run.outcome.evaluation is not None]
    if not ended:
        return Check(CODE, TITLE, "not applicable", "error", "no run has been evaluated yet")
    faults = []
    for run in ended:
        outcome = run.outcome
        assert outcome is not None
        where = f"{run.spec.arm}, block {run.spec.block}"
        if outcome.selection == outcome.evaluation:
            faults.append(f"{where}: selection and evaluation figures are the same")
        epoch = outcome.reported_epoch
        rows = [row for row in run.rows if row.epoch <= outcome.epochs]
        if epoch is None or not rows or epoch == rows[-1].epoch:
            continue
        best = max(row.selection.accuracy for row in rows)
        reported = [row.selection.accuracy for row in rows if row.epoch == epoch]
        if run.spec.patience is None or (reported and reported[0] < best):
            faults.append(f"{where}: epoch {epoch} is reported, though selection does not say so")
    if ledger is not None:
        both = sorted({run.spec.block for run in runs} & set(ledger.blocks))
        faults += [f"block {block} served for tuning and for the comparison" for block in both]
    if faults:
        return Check(CODE, TITLE, "finding", "error", listed(faults))
    message = f"in all {len(ended)} runs epochs and settings were chosen on the selection part"
    return Check(CODE, TITLE, "passed", "error", message)
