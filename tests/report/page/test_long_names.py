"""Names of classes that are longer than the place they have: the start, and all of it on demand."""

from __future__ import annotations

import re

import pytest

from normlab.report.page.build import report_context
from normlab.report.page.render import stylesheet, template_environment
from normlab.report.sections.per_class.section import build
from normlab.report.sections.registry import sections

LONG = "a name that a careful clerk typed in full, " * 4 + "<sic>"


def test_a_gallery_shows_the_start_of_a_long_name() -> None:
    """A column with such a name left the others 30 pixels."""
    source = '{% from "gallery.html.j2" import class_name %}{{ class_name(name) }}'
    template = template_environment().from_string(source)
    shown = template.render(name=LONG)
    inside = re.sub(r"<[^>]*>", "", shown)
    assert inside.endswith("…")
    assert len(inside) == 40
    assert 'title="a name' in shown
    assert "&lt;sic&gt;" in shown
    assert template.render(name="hat") == "<bdi>hat</bdi>"
    assert re.search(r"\.maps \{ table-layout: fixed; width: min\(", stylesheet(("page.css",)))


@pytest.mark.parametrize("place", ['<span class="name" title="{}">', '<td class="taken">{}'])
def test_tables_of_confusions_keep_room_for_the_counts(fabricate, tmp_path, place: str) -> None:
    plan = fabricate.make_plan(("bn", "gn"), blocks=2)
    fabricate.write_study(tmp_path, plan, fabricate.make_runs(plan))
    view = build(report_context(tmp_path))
    (section,) = [one for one in sections() if one.name == "per_class"]
    template = template_environment().from_string(section.template.read_text("utf-8"))
    page = type("Page", (), {"several": False, "small": "h4"})
    pairs = view[0].classes.pairs
    assert place.format(pairs[0].predicted) in template.render(view=view, page=page)
    css = stylesheet(("page.css",))
    for rule in (r"\.confusion \.name \{[^}]*max-width", r"td\.taken \{ white-space: normal"):
        assert re.search(rule, css)
