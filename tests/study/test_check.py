"""What is refused before a study begins."""

from __future__ import annotations

import pytest

from normlab.errors import PlanError
from normlab.study.study import Study


def test_a_margin_below_one_test_image_is_refused_when_the_study_is_planned(
    make_plan, dataset, tmp_path
) -> None:
    plan = make_plan(analysis={"margin": 0.001, "method": 2})
    with pytest.raises(PlanError, match=r"got 0\.1 points, where one of \d+ images is") as caught:
        Study.create(tmp_path / "study", plan, dataset)
    assert not (tmp_path / "study").exists()
    enough = float(str(caught.value).split("--margin ")[1].split()[0])
    Study.create(tmp_path / "study", make_plan(analysis={"margin": enough, "method": 2}), dataset)


@pytest.mark.parametrize("analysis", [{}, {"margin": 1e-6, "metric": "loss"}])
def test_a_margin_that_follows_the_error_or_is_no_share_is_not(
    make_plan, dataset, tmp_path, analysis
) -> None:
    Study.create(tmp_path / "study", make_plan(analysis=analysis), dataset)
