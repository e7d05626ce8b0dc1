"""A section from outside: on the page, in the navigation, in the exported files."""

from __future__ import annotations

import altair as alt
import pandas as pd
import pytest

from normlab.errors import PluginError, UsageError
from normlab.report.export.table import Table
from normlab.report.page.build import build_report
from normlab.report.sections import registry
from normlab.report.sections.base import Nothing, Section


def bars(numbers):
    return alt.Chart(pd.DataFrame({"n": numbers})).mark_bar().encode(x="n:Q")


@pytest.fixture
def own(tmp_path):
    """A section whose file is in no folder of normlab."""
    template = tmp_path / "own.html.j2"
    template.write_text(
        '{% from "macros.html.j2" import data_table %}<p>{{ view.word }} of {{ page.title }}</p>'
        "{{ view.picture }}{{ data_table(view.table, page.slugs) }}"
    )
    table = Table("own-table", "Own", "Counted by hand.", ("norm", "n"), (("bn", 3),))

    def make(word="<three>", **changes):
        parts = {
            "name": "own",
            "title": "A section of one's own",
            "entry": "Own",
            "order": 25,
            "template": template,
            "build": lambda context: [3, 4] if word else None,
            "content": lambda view, drawn: {
                "word": word, "picture": drawn.inline("own/bars", "Two bars"), "table": table,
            },
            "charts": lambda view: {"own/bars": (bars, (view,))},
            "tables": lambda view: (table,),
            "texts": lambda view: {"own.txt": "own\n"},
            "script_data": lambda view: {"own": view},
        }  # fmt: skip
        return Section(**{**parts, **changes})

    return make


@pytest.fixture
def study(fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=2, epochs=2)
    fabricate.write_study(tmp_path / "study", plan, fabricate.make_runs(plan))
    return tmp_path / "study"


@pytest.fixture
def registered():
    """Registers a section for one test."""
    names = []

    def add(section):
        registry.register(section)
        names.append(section.name)

    yield add
    for name in names:
        registry.unregister(name)


def test_the_built_in_sections_stand_in_their_order():
    found = registry.sections()
    assert [one.anchor for one in found] == [
        *("verdict", "answer", "where", "curves", "explain", "data"),
        *("analysis", "by-factor", "rates", "tables", "cost", "robustness", "classes"),
        *("ensembles", "layers", "stress", "checks", "methods", "glossary", "runs"),
    ]
    assert all(one.template.name == "section.html.j2" for one in found)


@pytest.mark.slow
def test_an_own_section_is_on_the_page_and_among_the_files(study, own, registered):
    registered(own())
    page = build_report(study).read_text()
    assert '<a href="#own">Own</a>' in page
    assert '<h2 id="own-title">A section of one&#39;s own</h2>' in page
    assert page.index('<section id="answer"') < page.index('<div id="own" class="body"')
    assert page.index('<div id="own" class="body"') < page.index('<section id="curves"')
    assert "&lt;three&gt; of birds" in page
    assert 'aria-label="Two bars"' in page
    assert '"own": [3, 4]' in page
    assert '"own-table": [' in page  # to be copied, since the page shows it
    report = study / "report"
    assert (report / "tables" / "own-table.tex").is_file()
    assert (report / "figures" / "own-bars.pdf").is_file()
    assert (report / "own.txt").read_text() == "own\n"


@pytest.mark.slow
def test_without_anything_to_show_it_says_why_or_is_left_out(study, own, registered):
    registered(own(word="", nothing=lambda context: Nothing("No bars <yet>.", "normlab bars")))
    page = build_report(study, exports=False).read_text()
    assert "<p>No bars &lt;yet&gt;.</p>" in page
    assert "normlab bars</pre>" in page
    registered(own(word="", name="silent"))
    page = build_report(study, exports=False).read_text()
    assert "#own" in page
    assert "silent" not in page


def test_two_sections_do_not_share_a_name_an_address_or_a_chart(study, own, registered):
    registered(own())
    for clash in ({"name": "own", "id": "other"}, {"name": "other", "id": "own"}):
        with pytest.raises(UsageError, match="rename one of them"):
            registry.register(own(**clash))
    registered(own(name="zebra"))  # the later one of two at the same place
    with pytest.raises(UsageError, match="'zebra' draws 'own/bars', as another one does"):
        build_report(study)


def test_an_installed_package_is_found_by_its_entry_point(installed, own):
    section = own(name="installed")
    installed("normlab.sections", "installed", "somewhere:SECTION", section)
    try:
        assert section in registry.sections()
        assert registry.sections().count(section) == 1
    finally:
        registry.unregister("installed")


def test_an_entry_point_has_the_name_of_its_section(installed, own):
    installed("normlab.sections", "other", "somewhere:SECTION", own())
    with pytest.raises(PluginError, match="its section is called 'own'"):
        registry.sections()


@pytest.mark.parametrize(
    ("value", "says"),
    [("no_such_module:X", "cannot be imported"), ("normlab.text:count", "is not a section of the")],
)
def test_one_that_cannot_be_used_is_a_sentence(installed, value, says):
    installed("normlab.sections", "bad", value)
    with pytest.raises(PluginError, match=says):
        registry.sections()
