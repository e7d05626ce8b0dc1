from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import pytest

from normlab.report.charts.colours import strokes
from normlab.report.charts.drawing import inline_svg, to_png, to_svg
from normlab.report.charts.style import configured
from normlab.report.sections.answer.chart import difference_chart, value_chart
from normlab.report.sections.answer.differences import difference_figure
from normlab.report.sections.answer.values import value_figure
from normlab.report.sections.curves.chart import panel_chart
from normlab.report.sections.curves.data import curve_figure
from normlab.stats.data.curves import curves
from normlab.stats.summary.analysis import analyse

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def figures(fabricate):
    plan = fabricate.make_plan(norms=("bn", "bin", "none", HOSTILE), epochs=3)
    runs = fabricate.make_runs(plan)
    setting = analyse(plan, runs).settings[0]
    drawn = strokes(["bn", "bin", "none", HOSTILE])
    return (
        curve_figure(setting, curves(plan, runs), drawn),
        difference_figure(setting, drawn),
        value_figure(setting, drawn),
    )


def test_the_data_lies_inside_and_the_colours_are_those_of_the_arms(figures):
    curve, difference, _ = figures
    for chart in (panel_chart(curve.panels[0], curve), difference_chart(difference)):
        text = json.dumps(configured(chart))
        assert '"url"' not in text
        assert '"datasets"' in text
        assert "#D55E00" in text


def test_a_study_of_any_size_can_be_drawn(fabricate):
    plan = fabricate.make_plan(norms=("bn",), blocks=1, epochs=6000)
    runs = fabricate.make_runs(plan)
    figure = curve_figure(analyse(plan, runs).settings[0], curves(plan, runs), strokes(["bn"]))
    spec = configured(panel_chart(figure.panels[0], figure))
    assert max(map(len, spec["datasets"].values())) == 6000


def test_hostile_names_are_text_in_the_svg(figures):
    _, difference, values = figures
    for chart in (value_chart(values), difference_chart(difference)):
        svg = to_svg(chart)
        root = ElementTree.fromstring(svg)
        assert not [e for e in root.iter() if e.tag.endswith("script")]
        assert HOSTILE in [text.strip() for e in root.iter() if (text := e.text)]
        assert HOSTILE not in svg


def test_png_is_a_png_on_white(figures):
    png = to_png(to_svg(difference_chart(figures[1])))
    assert png.startswith(b"\x89PNG")
    from io import BytesIO

    from PIL import Image

    with Image.open(BytesIO(png)) as image:
        assert image.convert("RGBA").getpixel((1, 1)) == (255, 255, 255, 255)


def test_an_inline_svg_is_named_and_shares_no_id():
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="5" height="5" viewBox="0 0 5 5">'
        '<clipPath id="clip0"/><g clip-path="url(#clip0)" aria-hidden="true">'
        '<path d="M0.123456,7.5L1e3,0.129"/></g></svg>'
    )
    root = ElementTree.fromstring(inline_svg(svg, "loss train", 'a "b" <c>'))
    assert root.get("aria-label") == 'a "b" <c>'
    assert root.get("role") == "img"
    assert root.get("width") is None
    clip, group = list(root)
    assert clip.get("id") == "loss-train-clip0"
    assert group.get("clip-path") == "url(#loss-train-clip0)"
    assert group.get("aria-hidden") is None
    assert group[0].get("d") == "M0.1,7.5L1e3,0.1"
