"""The course's report: its tables from the records, its figures, a document that TeX can set."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import fmean

import pytest

from normlab.report.course import build
from normlab.report.course.build import build_course_report
from normlab.report.course.latex import latex_text
from normlab.report.course.tables import course_tables
from normlab.stats.data.reading import read_study


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory, fabricate) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("course")
    plan = fabricate.make_plan(("bn", "in", "none"), blocks=3)
    fabricate.write_study(folder / "norms", plan, fabricate.make_runs(plan))
    plan = fabricate.make_plan(("bn", "gn"), blocks=2, batch_size=[8, 32])
    fabricate.write_study(folder / "batches", plan, fabricate.make_runs(plan))
    return folder / "norms", folder / "batches"


def test_tables(studies: tuple[Path, Path]) -> None:
    records = [read_study(folder) for folder in studies]
    tables, missing = course_tables(records)
    assert [t.slug for t in tables] == [
        *("table-1", "table-2", "table-3"),
        *("table-4", "table-5", "table-6", "table-7", "test-norm"),
    ]
    assert not missing
    by_slug = {table.slug: table for table in tables}
    own = [r.outcome.validation.accuracy for r in records[0].runs if r.spec.arm == "in"]
    row = next(row for row in by_slug["table-3"].rows if row[0] == "in")
    assert row[2].mean == pytest.approx(fmean(own))
    assert row[-1] == 3
    own = [
        run.outcome.train.loss
        for run in records[1].runs
        if (run.spec.arm, run.spec.batch_size) == ("gn", 32)
    ]
    row = next(row for row in by_slug["table-6"].rows if row[0] == "32")
    assert row[1].mean == pytest.approx(fmean(own))


def test_what_is_missing_is_said(studies: tuple[Path, Path]) -> None:
    tables, missing = course_tables([read_study(studies[0])])
    assert [t.slug for t in tables] == ["table-1", "table-2", "table-3", "test-norm"]
    assert [line.split(" need")[0] for line in missing] == [
        "Tables 4 and 5 (bn by batch size)", "Tables 6 and 7 (gn by batch size)",
    ]  # fmt: skip


def test_text_for_any_engine() -> None:
    assert latex_text("10 % of a_b ≥ 3 → ž, 鳥") == r"10 \% of a\_b $\geq$ 3 $\to$ ž, $\Box$"


@pytest.mark.slow
def test_the_folder(
    studies: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "ENGINES", ())
    made = build_course_report(studies, tmp_path / "out")
    text = made.document.read_text()
    assert made.pdf is None
    assert any("normlab explain" in line for line in made.missing)
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 8
    figures = re.findall(r"\\includegraphics\[.*?\]\{(.*?)\}", text)
    assert len(figures) == made.figures >= 8
    for name in figures:
        assert (tmp_path / "out" / name).stat().st_size > 1000
    assert all(ord(c) < 0x180 for c in text)
    assert "Verdict" in text
