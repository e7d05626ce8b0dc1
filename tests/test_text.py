"""The gate for foreign text: no character that acts unseen reaches what is printed or written."""

from __future__ import annotations

import csv
import io
import sys
import unicodedata

import altair as alt
import pytest

from normlab.cli.screen.console import SafeConsole, say
from normlab.cli.screen.echo import echo
from normlab.report.charts.drawing import to_svg
from normlab.report.export.formats import to_csv, to_latex
from normlab.report.export.table import Table
from normlab.report.page.build import build_report
from normlab.report.page.render import template_environment
from normlab.text import formula_safe, isolated, visible, visible_data, without_apostrophe

ACTING = [
    *(chr(code) for code in range(0x20)),
    *(chr(code) for code in range(0x7F, 0xA0)),
    *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029",
    *("\ud800", "\udc80", "\U000e0041"),
]


@pytest.mark.parametrize("letter", ACTING, ids=ascii)
def test_what_acts_is_shown_as_its_escape(letter: str) -> None:
    shown = visible(f"a{letter}b")
    assert shown == f"a{letter.encode('unicode_escape').decode()}b"
    assert shown.isprintable()


def test_what_people_write_is_left_alone() -> None:
    for name in ("bn", "Möwe 1", "鳥", "family 👨‍👩‍👧", "soft\u00adhyphen", "no\u00a0break"):
        assert visible(name) == name
    right = isolated("\u05d0\u05d1")
    assert visible(f"class {right}: 3") == f"class {right}: 3"
    assert visible(right[:-1]) == "\\u2068\u05d0\u05d1"
    assert visible("two\nlines\there", lines=True) == "two\nlines\there"


def test_no_unicode_category_of_controls_is_left_out() -> None:
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) in ("Cc", "Cs"):
            assert visible(chr(code)) != chr(code)


def test_data_are_cleaned_at_every_depth() -> None:
    assert visible_data({"a\x07": [("b\x1b", 1.5), None]}) == {"a\\x07": [["b\\x1b", 1.5], None]}


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@a", "\t=", "\r", "'tis", "bn", ""])
def test_a_cell_comes_back_from_a_spreadsheet(cell: str) -> None:
    assert without_apostrophe(formula_safe(cell)) == cell
    assert formula_safe(cell)[:1] not in tuple("=+-@\t\r")


def test_the_terminal(capsys) -> None:
    console = SafeConsole(file=sys.stdout, force_terminal=True, width=60)
    say(console, "class a\x07\x1b[2Jb\nUSE gn")
    console.print("x\x1b]0;title\x07y", highlight=False)
    echo("name\x9bm")
    out = capsys.readouterr().out
    assert "a\\x07\\x1b[2Jb\\nUSE gn" in out
    assert "x\\x1b]0;title\\x07y" in out
    assert "name\\x9bm" in out


def test_a_chart_with_a_control_in_a_name_is_drawn() -> None:
    """In the drawing library it ends the process."""
    rows = [{"name": "a\x07b\x00", "value": 1}, {"name": "\ud800\u202eg", "value": 2}]
    chart = alt.Chart(alt.Data(values=rows)).mark_bar().encode(x="value:Q", y="name:N")
    svg = to_svg(chart)
    assert "a\\x07b\\x00" in svg
    assert "\\ud800\\u202eg" in svg


def test_templates_and_tables() -> None:
    name = "cl\x07\u202eass"
    template = template_environment().from_string("{{ name }} {{ data | json }}")
    page = template.render(name=name, data={"name": name})
    assert page.startswith("cl\\x07\\u202eass ")
    assert "\x07" not in page
    assert "\u202e" not in page
    table = Table("t", name, "caption", (name, "n"), ((name, 1), ("=cmd\x1b", 2)))
    for text in (to_csv(table), to_latex(table)):
        assert "\x07" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert list(csv.reader(io.StringIO(to_csv(table))))[2][0] == "'=cmd\\x1b"


@pytest.mark.slow
def test_a_page_of_a_study_whose_classes_have_such_names(fabricate, tmp_path) -> None:
    classes = ("a\x07b", "\x1b[2Jx", "=cmd()", "\u202egpj.exe")
    plan = fabricate.make_plan(norms=("bn", "gn"), classes=classes)
    folder = tmp_path / "study"
    fabricate.write_study(folder, plan, fabricate.make_runs(plan))
    page = build_report(folder).read_text(encoding="utf-8")
    written = [page, *(p.read_text(encoding="utf-8") for p in folder.glob("report/tables/*"))]
    for text in written:
        assert sorted(set(text) & (set(ACTING) - {"\n", "\t"})) == []
    assert "a\\x07b" in page
