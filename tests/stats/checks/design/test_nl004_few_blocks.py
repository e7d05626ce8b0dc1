from __future__ import annotations

import pytest

from normlab.stats.checks.base import StudyToCheck
from normlab.stats.checks.design.nl004_few_blocks import few_blocks


@pytest.mark.parametrize(
    ("blocks", "state", "severity"),
    [
        (1, "finding", "error"),
        (2, "finding", "warning"),
        (4, "finding", "warning"),
        (5, "passed", "warning"),
    ],
)
def test_blocks_against_five(fabricate, blocks, state, severity):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=blocks)
    check = few_blocks(StudyToCheck(plan, fabricate.make_runs(plan)))
    assert (check.state, check.severity) == (state, severity)
