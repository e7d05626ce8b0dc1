"""NL013: mixed hardware, precision or library versions in a block."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from normlab.records.plan import StudyPlan
from normlab.records.store import RunRecord
from normlab.stats.checks.check import Check, listed

CODE = "NL013"
TITLE = "One environment a block"

_FACTS = ("device", "processor", "threads", "python")


def check_mixed_environment(plan: StudyPlan, runs: Sequence[RunRecord]) -> Check:
    """Device, processor, threads, Python, library versions and precision, inside each block.

    Blocks may differ from each other, because that moves all of their arms together. The version
    of the operating system is left out: it changes with every update and does no arithmetic. A
    library that only some of the runs name is no finding either: which ones are noted changes from
    one version of normlab to the next.
    """
    blocks: dict[int, list[dict[str, str]]] = defaultdict(list)
    for run in runs:
        if run.environment:
            blocks[run.spec.block].append(facts(run))
    if not any(len(found) > 1 for found in blocks.values()):
        message = "no block has two runs with a known environment"
        return Check(CODE, TITLE, "not applicable", "warning", message)
    mixed = []
    for block, found in sorted(blocks.items()):
        for name in dict.fromkeys(name for content in found for name in content):
            values = dict.fromkeys(content[name] for content in found if name in content)
            if len(values) > 1:
                mixed.append(f"block {block}: {name} is {' and '.join(values)}")
    if mixed:
        return Check(CODE, TITLE, "finding", "warning", listed(mixed))
    return Check(CODE, TITLE, "passed", "warning", f"in all {len(blocks)} blocks")


def facts(run: RunRecord) -> dict[str, str]:
    """What the numbers of a run may depend on, as text."""
    content = {name: str(run.environment.get(name, "unknown")) for name in _FACTS}
    libraries = run.environment.get("libraries")
    if isinstance(libraries, dict):
        content |= {str(name): str(version) for name, version in libraries.items()}
    return content | {"precision": run.spec.precision}
