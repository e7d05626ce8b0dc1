"""Drawing many charts, sheets for a paper, pictures of other verbs, the joint page, watching."""

from __future__ import annotations

import math
import os
import sys
import time
import urllib.request
from xml.etree import ElementTree

import pytest
from PIL import Image

from live_page import served
from normlab.errors import StorageError, UsageError
from normlab.report.charts import drawer as drawer_module
from normlab.report.charts import parallel_drawing
from normlab.report.charts.colours import strokes
from normlab.report.charts.compact_svg import relative
from normlab.report.charts.drawer import Drawer, NotDrawnError
from normlab.report.charts.drawing import inline_svg, shown_again, to_svg
from normlab.report.charts.sheet import sheet
from normlab.report.page.joint import joint_content
from normlab.report.page.live import (
    LivePage,
    OtherProcess,
    live_view,
    open_server,
    records_stamp,
)
from normlab.report.sections.answer.chart import difference_chart
from normlab.report.sections.answer.differences import difference_figure
from normlab.report.sections.data_checks.data import read_data_report
from normlab.report.sections.gallery.data import MAX_PICTURES, pictures
from normlab.stats.data.reading import StudyRecords
from normlab.stats.summary.analysis import analyse

RED = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"><g></g></svg>'


@pytest.fixture
def figure(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"))
    setting = analyse(plan, fabricate.make_runs(plan)).settings[0]
    return difference_figure(setting, strokes(("bn", "gn")))


@pytest.mark.slow
def test_the_helper_draws_the_same(figure, monkeypatch):
    jobs = {str(n): ("chart", (difference_chart, (figure,))) for n in range(3)}
    alone = parallel_drawing.draw_all(jobs)
    monkeypatch.setattr(parallel_drawing, "ENOUGH_WORK", 0.0)
    assert parallel_drawing.draw_all(jobs) == alone
    assert alone["0"].startswith(b"<svg")


@pytest.fixture
def drawers(monkeypatch):
    """Processes of the test's own."""
    own = (Drawer(), Drawer())
    monkeypatch.setattr(parallel_drawing, "_DRAWERS", own)
    yield own
    for drawer in own:
        drawer.close()


@pytest.mark.slow
def test_a_chart_that_ends_its_process_or_never_ends_costs_itself_alone(drawers, monkeypatch):
    assert parallel_drawing.draw_all({"a": ("png", RED)})["a"].startswith(b"\x89PNG")
    jobs = {"dies": ("chart", (os.abort, ())), "red": ("png", RED), "no.png": ("png", "no picture")}
    with pytest.warns(RuntimeWarning) as said:
        drawn = parallel_drawing.draw_all(jobs)
    assert [str(one.message).partition(":")[0] for one in said] == [
        "the figure dies could not be drawn", "the figure no.png could not be drawn"
    ]  # fmt: skip
    assert "ended with code -6" in drawn["dies"].decode()
    inline_svg(drawn["dies"].decode(), "dies", "words", shared=True)
    assert drawn["red"].startswith(b"\x89PNG")
    assert "no.png" not in drawn
    monkeypatch.setattr(drawer_module, "SECONDS", 0.3)
    with pytest.warns(RuntimeWarning, match="sleeps could not be drawn.*took over 0.3 s"):
        parallel_drawing.draw_all({"sleeps": ("chart", (time.sleep, (60,)))})
    monkeypatch.undo()
    monkeypatch.setattr(drawer_module, "WORK", 0.5)
    own = Drawer()
    assert own.draw(("png", RED)).startswith(b"\x89PNG")
    with pytest.raises(NotDrawnError, match=r"took over 0\.5 s"):
        own.draw(("chart", (math.factorial, (10**8,))))


def test_a_process_that_cannot_begin_is_no_fault(drawers, monkeypatch):
    monkeypatch.setattr(parallel_drawing, "ENOUGH_WORK", 0.0)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    jobs = {str(n): ("png", RED) for n in range(3)}
    assert all(png.startswith(b"\x89PNG") for png in parallel_drawing.draw_all(jobs).values())


def test_marks_are_found_by_block_and_arm(figure):
    root = ElementTree.fromstring(
        inline_svg(to_svg(difference_chart(figure)), "d", "words", {"bn": 0, "gn": 1})
    )
    marks = [e for e in root.iter() if e.get("data-block") is not None]
    assert sorted(e.get("data-block") for e in marks) == ["1", "2", "3"]
    assert {e.get("data-arm") for e in marks} == {"1"}
    assert sum(e.get("data-axis") == "x" for e in root.iter()) == 1


def test_a_picture_is_shown_again_by_its_id():
    svg = inline_svg(RED.replace("<g>", "<g><title>t</title>"), "a b", "x", shared=True)
    assert 'id="a-b-body"' in svg
    again = shown_again(RED, "a b", 'say "x"')
    assert 'href="#a-b-body"' in again
    assert ElementTree.fromstring(again).get("aria-label") == 'say "x"'


def test_rounding_does_not_add_up():
    path = "M0,0" + "".join(f"L{0.04 * n:.4f},{-0.04 * n:.4f}" for n in range(1, 501))
    x = y = 0.0
    for step in relative(path).split("l", 1)[1].replace("-", " -").split():
        x, y = y, x + float(step)  # alternating
    assert {round(abs(x), 6), round(abs(y), 6)} == {20.0}
    assert relative("M1,2L2,3M4,4L5,4") == "M1 2l1 1M4 4l1 0"


def test_a_sheet_is_one_picture_with_a_legend_and_escaped_names():
    text = sheet("A <b>", [("one", RED), ("", RED), ("two", RED)], 2, strokes(("<i>", "torch-bn")))
    root = ElementTree.fromstring(text)
    words = [e.text for e in root.iter() if e.tag.endswith("text")]
    assert words == ["A <b>", "<i>", "torch-bn", "one", "two"]
    assert sum(e.tag.endswith("}svg") for e in root.iter()) == 4


def test_pictures_are_scaled_and_never_markup(tmp_path):
    folder = tmp_path / "explain"
    folder.mkdir()
    Image.new("RGB", (3000, 600), "red").save(folder / "a_big-one.png")
    (folder / "b.svg").write_text("<svg onload='alert(1)'/>")
    (folder / "c.png").write_bytes(b"no picture")
    found = pictures(tmp_path, "explain")
    assert [p.name for p in found.pictures] == ["a big one", "b"]
    assert all(p.address.startswith("data:image/") for p in found.pictures)
    assert "c.png cannot be read" in found.left_out[0]
    for n in range(MAX_PICTURES + 3):
        Image.new("RGB", (8, 8)).save(folder / f"d{n:02}.png")
    assert len(pictures(tmp_path, "explain").pictures) == MAX_PICTURES
    assert pictures(tmp_path, "layers") is None


def test_a_damaged_data_report_is_named(tmp_path):
    assert read_data_report(tmp_path) == (None, "This study kept no check of its data.")
    (tmp_path / "data.json").write_text('{"source": 1')
    report, why = read_data_report(tmp_path)
    assert report is None
    assert why.startswith("data.json cannot be read")


def joined(fabricate, tmp_path, *plans):
    studies = [
        StudyRecords(tmp_path / str(n), plan, tuple(fabricate.make_runs(plan, seed=n)), ())
        for n, plan in enumerate(plans)
    ]
    return joint_content(studies)


def test_studies_side_by_side(fabricate, tmp_path):
    content = joined(
        fabricate,
        tmp_path,
        fabricate.make_plan(norms=("bn", "bin"), learning_rate=(0.1,)),
        fabricate.make_plan(norms=("bn", "bin", "gn"), learning_rate=(0.05,)),
    )
    (view,) = content.views  # one setting each: compared though the rates differ
    assert view.names == ("birds (0)", "birds (1)")
    assert [row.arm for row in view.rows] == ["bin", "gn"]
    assert view.rows[0].n == 2
    assert view.rows[1].n == 1
    assert view.rows[1].cells[0].decision == "no result"
    assert "hold the same images" in content.warnings[0]


def test_studies_of_several_settings_meet_where_they_can(fabricate, tmp_path):
    content = joined(
        fabricate,
        tmp_path,
        fabricate.make_plan(norms=("bn", "bin"), batch_size=(8, 32)),
        fabricate.make_plan(norms=("bn", "bin"), batch_size=(32, 64)),
    )
    assert [view.title for view in content.views] == ["sgd, learning rate 0.1, batch 32"]


def test_studies_with_other_references_are_refused(fabricate, tmp_path):
    with pytest.raises(UsageError, match="different references"):
        joined(
            fabricate,
            tmp_path,
            fabricate.make_plan(norms=("bn", "gn")),
            fabricate.make_plan(norms=("bn", "gn"), analysis={"reference": "gn"}),
        )


def test_a_page_is_built_again_only_when_records_grow(fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn",), blocks=1, epochs=2)
    (run,) = fabricate.write_study(tmp_path, plan, fabricate.make_runs(plan))
    live_page = LivePage(tmp_path)
    assert live_page.refresh()
    assert not live_page.refresh()
    stamp, page = live_page.current()
    assert f'data-watch="{stamp}"'.encode() in page
    with (run.folder / "epochs.jsonl").open("a") as file:
        file.write("{")
    assert records_stamp(tmp_path) != stamp
    assert live_page.refresh()


def test_only_the_page_is_served_and_of_a_taken_port_another_is_used(fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn",), blocks=1, epochs=2)
    fabricate.write_study(tmp_path, plan, fabricate.make_runs(plan))
    with served(tmp_path) as address:
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert b"data-watch" in answer.read()
        for path in ("study.toml", "../study.toml", "runs/"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(address + path, timeout=10)
            refused.value.close()
        port = int(address.split(":")[-1].strip("/"))
        other = open_server(LivePage(tmp_path), port)
        other.server_close()
        assert other.address != address


def test_a_study_that_runs_is_drawn_elsewhere_and_only_when_asked(fabricate, tmp_path, monkeypatch):
    plan = fabricate.make_plan(norms=("bn",), blocks=1, epochs=2)
    fabricate.write_study(tmp_path, plan, fabricate.make_runs(plan))
    drawn = []

    def draw(builder, study):
        drawn.append(study)
        return b'<html lang="en"><body class="x">page'

    monkeypatch.setattr(OtherProcess, "__call__", draw)
    with live_view(tmp_path, port=0) as (address, live_page):
        live_page.status = lambda: "block 1 <bn>"
        time.sleep(0.7)
        assert drawn == []  # nobody has looked
        deadline, seen = time.monotonic() + 30, b""
        while b"data-watch" not in seen and time.monotonic() < deadline:
            with urllib.request.urlopen(address, timeout=10) as answer:
                seen = answer.read()
            time.sleep(0.1)
        assert b"data-watch" in seen
        assert b'<body class="x"><p role="status"' in seen
        assert b"block 1 &lt;bn&gt;" in seen
        assert drawn == [tmp_path]
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=10)


@pytest.mark.slow
def test_a_page_is_drawn_in_another_process(fabricate, tmp_path):
    elsewhere = OtherProcess()
    with pytest.raises(StorageError, match=r"the page cannot be drawn: .*no study plan"):
        elsewhere(tmp_path)
    plan = fabricate.make_plan(norms=("bn",), blocks=1, epochs=2)
    fabricate.write_study(tmp_path, plan, fabricate.make_runs(plan))
    assert elsewhere(tmp_path).startswith(b"<!DOCTYPE html>")
    elsewhere.end()
    with pytest.raises(StorageError, match="no further page"):
        elsewhere(tmp_path)
