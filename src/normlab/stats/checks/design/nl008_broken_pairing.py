"""NL008: arms that differ in more than the factor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from normlab.records.cells import spec_path, tuned
from normlab.records.plan import StudyPlan
from normlab.records.run import RunSpec
from normlab.stats.checks.base import (
    Result,
    StudyToCheck,
    check,
    finding,
    listed,
    not_applicable,
    passed,
)
from normlab.stats.data.layout import arrange
from normlab.stats.data.setting import Setting


@check("NL008", "Arms differ in the factor alone", severity="error")
def broken_pairing(study: StudyToCheck) -> Result:
    """Inside a setting all specs must agree in everything but the arm, its factor and the block.

    What was tuned for each arm may differ too. An arm must keep its norm through all blocks, and a
    cell must not have two rival records.
    """
    if len(study.runs) < 2:
        return not_applicable("there are no two runs to compare")
    faults = []
    by_setting: dict[Setting, list[RunSpec]] = defaultdict(list)
    unlike: dict[tuple[str, str], RunSpec] = {}
    for run in study.runs:
        unlike.setdefault(run.spec.around_block, run.spec)
    for spec in unlike.values():
        by_setting[Setting.of(spec, study.plan)].append(spec)
    for setting, specs in by_setting.items():
        faults += [f"{setting}: {fault}" for fault in differing_fields(specs, study.plan)]
        if study.plan.analysis.compare == "norm":
            faults += [f"{setting}: {fault}" for fault in _changed_norms(specs)]
    for layout in arrange(study.plan, study.runs):
        faults += [
            f"{layout.setting}: {arm} in block {block + 1} has several finished records, none is "
            "used"
            for arm in layout.arms
            for block in layout.blocks
            if layout.status(arm, block) == "ambiguous"
        ]
    if faults:
        return finding(listed(faults))
    factor = study.plan.analysis.compare.replace("_", " ")
    return passed(f"the specifications of all arms agree in everything but the {factor}")


def differing_fields(specs: Sequence[RunSpec], plan: StudyPlan) -> list[str]:
    """The fields in which specs differ though they should not, each with its values."""
    flat = [_flatten(spec.model_dump(mode="json")) for spec in specs]
    factors = (plan.analysis.compare, *tuned(plan))
    allowed = ("arm", "block", *(spec_path(factor) for factor in factors))
    faults = []
    for field in flat[0]:
        if any(field == path or field.startswith(f"{path}.") for path in allowed):
            continue
        values = dict.fromkeys(str(content[field]) for content in flat)
        if len(values) > 1:
            faults.append(f"{field} is {' and '.join(_short(value) for value in values)}")
    return faults


def _changed_norms(specs: Sequence[RunSpec]) -> list[str]:
    norms: dict[str, dict[str, None]] = defaultdict(dict)
    for spec in specs:
        norms[spec.arm].setdefault(spec.norm)
    return [f"{arm} is {' and '.join(found)}" for arm, found in norms.items() if len(found) > 1]


def _flatten(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
