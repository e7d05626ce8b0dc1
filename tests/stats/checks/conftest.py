from __future__ import annotations

from dataclasses import replace

import pytest


@pytest.fixture
def study(fabricate):
    """Plan and runs of three arms × six blocks in which no check finds anything."""
    plan = fabricate.make_plan(norms=("bn", "gn", "none"), blocks=6)
    return plan, fabricate.make_runs(plan)


@pytest.fixture
def with_measures():
    """Changes measures of a run's outcome."""

    def change(run, part, **changes):
        measures = getattr(run.outcome, part).model_copy(update=changes)
        return replace(run, outcome=run.outcome.model_copy(update={part: measures}))

    return change
