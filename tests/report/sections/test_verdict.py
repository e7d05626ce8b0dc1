"""The first screen: every mean on the axis, chance level, many arms, pictures, bad input."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from explained import explain
from normlab.report.charts.colours import strokes
from normlab.report.explanation import FILE
from normlab.report.page.build import BuiltSection, page_frame, page_section, report_context
from normlab.report.sections.answer.sentence import shortened
from normlab.report.sections.base import DrawnCharts
from normlab.report.sections.gallery.section import SECTION as GALLERY
from normlab.report.sections.robustness.section import SECTION as ROBUSTNESS
from normlab.report.sections.verdict.data import first_screen
from normlab.report.sections.verdict.plot import SHOWN
from normlab.report.sections.verdict.section import SECTION
from normlab.stats.summary.analysis import analyse


def screen(fabricate, arms=("bn", "bin", "none"), **options):
    plan = fabricate.make_plan(norms=arms, blocks=3, epochs=2)
    (setting,) = analyse(plan, fabricate.make_runs(plan, **options)).settings
    return first_screen(setting, "study", ("bn",), strokes(arms), 1000)


def test_every_mean_zero_and_the_band_are_on_the_axis(fabricate):
    (plot,) = screen(fabricate, effects={"none": -0.4, "bin": 0.003}).plots
    assert [row.arm for row in plot.rows] == ["bin", "bn", "none"]
    for place in (*(row.mean for row in plot.rows), plot.zero, *plot.band):
        assert 0 <= place <= 100
    for row in plot.rows:
        assert all(0 <= place <= 100 for _, place in row.blocks)
        assert row.low is None or 0 <= row.low <= row.high <= 100


def test_chance_level_is_a_line_or_a_number(fabricate):
    (far,) = screen(fabricate).plots
    assert far.chance is None
    assert far.chance_text.startswith("chance level lies beyond the axis, at −")
    (near,) = screen(fabricate, effects={"none": -0.5}).plots
    assert 0 < near.chance < 100
    assert near.chance_text == ""
    plan = fabricate.make_plan(norms=("bn", "none"), blocks=3, epochs=2)
    (setting,) = analyse(plan, fabricate.make_runs(plan)).settings
    of_own = replace(setting, guessing=None)
    (unknown,) = first_screen(of_own, "study", ("bn",), strokes(("bn", "none")), 1000).plots
    assert (unknown.chance, unknown.chance_text) == (None, "")


def test_sixty_arms_fold_and_the_reference_stays(fabricate):
    arms = ("bn", *(f"gn:groups={n}" for n in range(2, 61)))
    effects = {arm: 0.01 * n for n, arm in enumerate(arms)}
    (plot,) = screen(fabricate, arms=arms, effects=effects).plots
    assert len(plot.rows) == SHOWN
    assert plot.rows[-1].is_reference
    assert len(plot.rows) + len(plot.folded) == 60
    assert shortened(", ".join(arms)).endswith("gn:groups=6 and 54 more")


@pytest.mark.parametrize("without", [(), ("none", "bin"), ("bn", "bin", "none")])
def test_whatever_is_missing_it_says_something(fabricate, without):
    found = screen(fabricate, without={(arm, block) for arm in without for block in range(3)})
    assert list(found.sentence.lines) or found.sentence.text
    assert bool(found.plots) == (not without)


def test_failed_runs_are_counted(fabricate):
    cells = {(arm, block): "failed" for arm in ("bn", "bin", "none") for block in range(3)}
    found = screen(fabricate, statuses=cells)
    assert found.plots == ()
    assert found.sure == "runs that ended without a result: 9 failed (why: Runs)."


def body(fabricate, folder, section, arms=("bn", "اسم")):
    context = report_context(folder)
    built = BuiltSection(section, section.build(context))
    shown = page_section(built, context, page_frame(context), DrawnCharts({}, context.strokes))
    return "" if shown is None else str(shown.body)


@pytest.fixture
def folder(fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn", "اسم"), blocks=2, epochs=1)
    fabricate.write_study(tmp_path, plan, fabricate.make_runs(plan))
    return tmp_path


def test_pictures_stand_beside_the_answer_and_maps_beside_each_other(fabricate, folder):
    assert "<img" not in body(fabricate, folder, SECTION)
    explain(folder, ("bn", "اسم"), ("<b>", "said"))
    first = body(fabricate, folder, SECTION)
    assert first.count("<img") == 12
    assert "is <bdi>&lt;b&gt;</bdi><br>said <bdi>said</bdi>" in first
    maps = body(fabricate, folder, GALLERY)
    assert maps.count("<img") == 3
    assert "<bdi>اسم</bdi>" in maps
    assert "the map is 0" in maps
    assert "data:image/webp;base64," in maps
    assert body(fabricate, folder, ROBUSTNESS).count("<img") == 1


def test_damaged_pictures_are_left_out_by_name(fabricate, folder):
    pictures = explain(folder, ("bn",))
    (pictures / "answers" / "0000.jpg").write_bytes(b"nothing")
    (pictures / "pictures" / "0000-0.jpg").unlink()
    assert body(fabricate, folder, SECTION).count("<img") == 11
    assert "a picture of a cannot be read" in body(fabricate, folder, GALLERY)
    facts = json.loads((pictures / FILE).read_text())
    facts["answers"]["right"][0]["picture"] = "../../secret.jpg"
    (pictures / FILE).write_text(json.dumps(facts))
    assert "pictures.json cannot be read" in body(fabricate, folder, GALLERY)
    assert "<img" not in body(fabricate, folder, SECTION)
