"""The analysis in words on the page, as a file, and its evidence as tables."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.report.page.build import build_report, report_context
from normlab.report.sections.analysis.section import SECTION


@pytest.fixture
def study(fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn", "gn", "none"), blocks=5, batch_size=(8, 32), epochs=6)
    runs = fabricate.write_study(tmp_path, plan, fabricate.make_runs(plan))
    for run in runs:
        fabricate.write_layers(run)
    return tmp_path


@pytest.mark.slow
def test_the_page_says_the_words_and_the_file_too(study) -> None:
    page = build_report(study).read_text(encoding="utf-8")
    text = (study / "report" / "analysis.txt").read_text(encoding="utf-8")
    assert page.index('id="answer"') < page.index('id="curves"') < page.index('id="analysis"')
    for part in ("What is seen", "What to try", "Across settings"):
        assert part in page
        assert part in text
    assert "no normalization (none) is" in text
    assert "--tune 4" in text
    assert "evidence-across.csv" in {p.name for p in (study / "report" / "tables").iterdir()}


def test_evidence_holds_the_numbers_of_the_words(study) -> None:
    context = report_context(study)
    view = SECTION.build(context)
    table = view.table(context.settings[0].setting.slug)
    row = next(r for r in table.rows if r[0] == "Test accuracy" and r[1] == "none")
    values = {
        arm: np.array(
            [
                run.outcome.test.accuracy
                for run in context.study.runs
                if run.spec.arm == arm and run.spec.batch_size == 8
            ]
        )
        for arm in ("bn", "none")
    }
    assert row[3].value == pytest.approx(100 * values["none"].mean())
    assert row[4].value == pytest.approx(100 * values["bn"].mean())
    assert row[5].value == pytest.approx(100 * (values["none"] - values["bn"]).mean())
    assert (row[7], row[8]) == (5, "yes")
    size = f"{100 * (values['bn'] - values['none']).mean():.1f} points lower"
    assert size in view.words.settings[0].seen[0].text


def test_two_values_that_are_compared_are_both_there(study) -> None:
    """The row "training accuracy above test accuracy" had the gap in place of the one, 0 of the
    other.
    """
    context = report_context(study)
    rows = [row for table in SECTION.build(context).tables for row in table.rows]
    gaps = [row for row in rows if row[1].endswith(", training")]
    assert {row[2].rpartition(" ")[2] for row in gaps} == {"test", "validation"}
    changes = ("no change", "half")  # compared with a number, not with another arm or part
    for row in rows:
        if row[2] not in changes:
            assert row[4].value != 0, row
            assert row[5].value == pytest.approx(row[3].value - row[4].value), row


@pytest.mark.slow
def test_a_study_of_one_arm_has_no_such_section(fabricate, tmp_path) -> None:
    plan = fabricate.make_plan(norms=("bn",), blocks=2)
    fabricate.write_study(tmp_path, plan, fabricate.make_runs(plan))
    assert 'id="analysis"' not in build_report(tmp_path).read_text(encoding="utf-8")
    assert not (tmp_path / "report" / "analysis.txt").exists()
