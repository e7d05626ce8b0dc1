from __future__ import annotations

from dataclasses import replace

import pytest

from normlab.stats.checks.base import StudyToCheck
from normlab.stats.checks.design.nl013_mixed_environment import mixed_environment


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"device": "cuda:0"}, "block 1: device is cpu and cuda:0"),
        ({"threads": 8}, "block 1: threads is 2 and 8"),
        ({"libraries": {"torch": "2.10.0"}}, "block 1: torch is 2.13.0 and 2.10.0"),
    ],
)
def test_a_mixed_block_is_found(study, change, text):
    plan, runs = study
    other = replace(runs[1], environment={**runs[1].environment, **change})
    check = mixed_environment(StudyToCheck(plan, [runs[0], other, *runs[2:]]))
    assert check.state == "finding"
    assert text in check.message


def test_blocks_may_differ_and_the_kernel_too(study):
    plan, runs = study
    moved = [
        replace(
            run,
            environment={
                **run.environment,
                "device": f"cuda:{run.spec.block}",
                "platform": f"Linux-{index}",
            },
        )
        for index, run in enumerate(runs)
    ]
    assert mixed_environment(StudyToCheck(plan, moved)).state == "passed"


def test_a_library_that_only_some_runs_name_is_no_finding(study):
    """As in a study begun by a version of normlab that noted other libraries."""
    plan, runs = study
    noted = [{"torch": "2.13.0", "torchmetrics": "1.9.0"}] + [
        {"torch": "2.13.0", "scikit-learn": "1.9.1"}
    ] * (len(runs) - 1)
    continued = [
        replace(run, environment={**run.environment, "libraries": libraries})
        for run, libraries in zip(runs, noted, strict=True)
    ]
    assert mixed_environment(StudyToCheck(plan, continued)).state == "passed"
