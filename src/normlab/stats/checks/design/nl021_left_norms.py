"""NL021: norms that are the same in every arm, because no arm could convert them."""

from __future__ import annotations

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


@check("NL021", "The arms differ in all of their norms", severity="warning")
def left_norms(study: StudyToCheck) -> Result:
    """In a study with --partial: the norms of the network that no arm's norm took the place of.

    What is compared is then less than the norm of the whole network. Layers are known by the names
    and kinds that training measured.
    """
    found = [run for run in study.runs if run.spec.network.options.get("partial")]
    if not found:
        return not_applicable("no network was converted in part (--partial)")
    left = []
    for network in sorted({str(run.spec.network) for run in found}):
        names = _left([run for run in found if str(run.spec.network) == network])
        if names:
            left.append(f"{network} keeps {listed(names)}")
    if left:
        return finding("; ".join(left))
    return passed("no layer is the same in every arm")


def _left(runs: list[RunRecord]) -> list[str]:
    """Layers of the same kind under all norms, of those that normalize at all."""
    kinds: dict[str, set[str]] = {}
    norms: dict[str, set[str]] = {}
    for run in runs:
        code = run.spec.norm.partition(":")[0]
        sites = (run.outcome.norm_sites if run.outcome is not None else None) or ()
        for site in sites:
            if code != "keep" and site.over != "nothing":
                kinds.setdefault(site.layer, set()).add(site.kind)
                norms.setdefault(site.layer, set()).add(code)
    return [
        f"{layer} ({next(iter(kinds[layer]))})"
        for layer in kinds
        if len(kinds[layer]) == 1 and len(norms[layer]) > 1
    ]
