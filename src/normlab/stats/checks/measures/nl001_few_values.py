"""NL001: statistics over the batch that rest on fewer than 16 values."""

from __future__ import annotations

from normlab.records.run import RunSpec
from normlab.records.store import RunRecord
from normlab.stats.checks.base import (
    Result,
    StudyToCheck,
    check,
    finding,
    listed,
    not_applicable,
    passed,
)

FEWEST = 16
"""Values per channel below which mean and variance of a batch are mostly noise."""


@check("NL001", "Batch statistics rest on enough values", severity="warning")
def few_values(study: StudyToCheck) -> Result:
    """Values in a statistic over the batch, as training measured them, against 16.

    Of every run the layer with the fewest counts. It depends on the batch, the size of the images
    and the network: of the 6n+2 networks (He et al. 2015, section 4.2), which halve the image
    twice, the last layers have batch size · ⌈image size/4⌉². The batch is the one that goes through
    the network at a time: accumulated gradients add nothing to it.
    """
    measured = [run for run in study.runs if run.outcome is not None and run.outcome.norm_sites]
    fewest = {
        f"{run.spec.norm} at batch {_batch(run.spec)} and {run.spec.data.image_size} px": found
        for run in measured
        if (found := fewest_values(run)) is not None
    }
    if not fewest:
        reason = "no arm uses batch statistics"
        if not measured:
            reason = "no run says what its norms take statistics over, as older records do not"
        return not_applicable(reason)
    few = [
        f"{arm} has {values} in {layer}"
        for arm, (values, layer) in sorted(fewest.items())
        if values < FEWEST
    ]
    if few:
        return finding(f"fewer than {FEWEST} values a statistic: {listed(few)}")
    least = min(values for values, _ in fewest.values())
    return passed(f"at least {least} values a statistic")


def fewest_values(run: RunRecord) -> tuple[int, str] | None:
    """The fewest values in a statistic over the batch, and the layer; None without any such."""
    sites = (run.outcome.norm_sites if run.outcome is not None else None) or ()
    return min(
        (
            (site.values, site.layer)
            for site in sites
            if site.over == "batch" and site.values is not None
        ),
        key=lambda found: found[0],
        default=None,
    )


def _batch(spec: RunSpec) -> str:
    alone = spec.statistics_batch < spec.batch_size
    return (
        f"{spec.statistics_batch} of each of {spec.ranks} ranks" if alone else f"{spec.batch_size}"
    )
