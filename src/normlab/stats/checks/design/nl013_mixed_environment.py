"""NL013: mixed hardware, precision or library versions in a block."""

from __future__ import annotations

from collections import defaultdict

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

_FACTS = ("device", "processor", "threads", "python")


@check("NL013", "One environment a block", severity="warning")
def mixed_environment(study: StudyToCheck) -> Result:
    """Device, processor, threads, Python, library versions and precision, inside each block.

    Blocks may differ from each other, because that moves all of their arms together. The version
    of the operating system is left out: it changes with every update and does no arithmetic. A
    library that only some of the runs name is no finding either: which ones are noted changes from
    one version of normlab to the next.
    """
    blocks: dict[int, list[dict[str, str]]] = defaultdict(list)
    for run in study.runs:
        if run.environment:
            blocks[run.spec.block].append(facts(run))
    if not any(len(found) > 1 for found in blocks.values()):
        return not_applicable("no block has two runs with a known environment")
    mixed = []
    for block, found in sorted(blocks.items()):
        for name in dict.fromkeys(name for content in found for name in content):
            values = dict.fromkeys(content[name] for content in found if name in content)
            if len(values) > 1:
                mixed.append(f"block {block + 1}: {name} is {' and '.join(values)}")
    if mixed:
        return finding(listed(mixed))
    return passed(f"in all {len(blocks)} blocks")


def facts(run: RunRecord) -> dict[str, str]:
    """What the numbers of a run may depend on, as text."""
    content = {name: str(run.environment.get(name, "unknown")) for name in _FACTS}
    libraries = run.environment.get("libraries")
    if isinstance(libraries, dict):
        content |= {str(name): str(version) for name, version in libraries.items()}
    return content | {"precision": run.spec.precision}
