from __future__ import annotations

import csv
import io

import pytest

from normlab.report.export.formats import (
    NOTHING,
    cell_text,
    escape_formula,
    escape_latex,
    to_csv,
    to_latex,
    to_markdown,
)
from normlab.report.export.table import Printed, Table
from normlab.stats.inference.intervals import Summary

HOSTILE = (
    "<script>alert(1)</script>",
    "=cmd()",
    "+1",
    "-1",
    "@x",
    "a|b",
    "50%_&#{}$~^\\",
    "two\nlines",
)


@pytest.fixture
def table():
    return Table(
        slug="norm-train",
        title="By norm",
        caption="Mean ± sd.",
        head=("norm", "loss", "n"),
        rows=(("bn", Summary(3, 0.81239, 0.00604), 3), ("gn", Summary(1, -0.5, None), 1)),
    )


@pytest.fixture
def hostile():
    rows = tuple((name, Summary(0, None, None), 0) for name in HOSTILE)
    return Table("hostile", "=title|<b>", "100 % of_it", ("=norm", "loss", "n"), rows)


def test_markdown(table):
    assert to_markdown(table) == (
        "### By norm\n\n"
        "| norm | loss | n |\n"
        "| --- | ---: | ---: |\n"
        "| bn | 0.8124 ± 0.0060 | 3 |\n"
        "| gn | -0.5000 | 1 |\n\n"
        "Mean ± sd.\n"
    )


def test_csv_has_mean_and_sd_in_full(table):
    assert to_csv(table) == "norm,loss mean,loss sd,n\nbn,0.81239,0.00604,3\ngn,-0.5,,1\n"


def test_csv_has_every_number_in_a_column_of_its_own():
    gain = Printed(6.53, "+6.5 [+1.3, +11.7]", interval=(1.31, 11.66))
    spread = Printed(81.44, "81.4 ± 0.6", sd=0.61)
    alone = Printed(None, "[+1.3, +11.7]", interval=(1.31, 11.66))
    rows = (("bn", gain, spread, alone), ("gn", NOTHING, Printed(80.0, "80.0"), NOTHING))
    table = Table("gains", "", "", ("x", "gain (points)", "x", "x"), rows)
    assert list(csv.reader(io.StringIO(to_csv(table)))) == [
        [
            *("x", "gain (points)", "gain (points) low", "gain (points) high"),
            *("x mean", "x sd", "x low", "x high"),
        ],
        ["bn", "6.53", "1.31", "11.66", "81.44", "0.61", "1.31", "11.66"],
        ["gn", "", "", "", "80.0", "", "", ""],
    ]


def test_csv_headings_are_unique():
    table = Table("arms", "", "", ("n", "n", "n"), (("a", 1, 2),))
    assert to_csv(table) == "n,n (2),n (3)\na,1,2\n"


def test_latex(table):
    text = to_latex(table)
    assert r"\begin{tabular}{lrr}" in text
    assert r"    bn & 0.8124 $\pm$ 0.0060 & 3 \\" in text
    assert r"\caption{By norm. Mean $\pm$ sd.}" in text
    assert text.index(r"\toprule") < text.index(r"\midrule") < text.index(r"\bottomrule")


def test_markdown_cells_stay_in_their_column(hostile):
    lines = to_markdown(hostile).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + len(HOSTILE)
    assert all(row.replace("\\\\", "").replace("\\|", "").count("|") == 4 for row in rows)
    assert "<" not in to_markdown(hostile)


def test_csv_text_is_no_formula_and_numbers_are_untouched(hostile, table):
    rows = list(csv.reader(io.StringIO(to_csv(hostile))))
    assert [row[0] for row in rows[1:]] == [
        "<script>alert(1)</script>",
        "'=cmd()",
        "'+1",
        "'-1",
        "'@x",
        "a|b",
        "50%_&#{}$~^\\",
        "two\nlines",
    ]
    assert rows[0][0] == "'=norm"
    assert list(csv.reader(io.StringIO(to_csv(table))))[2][1] == "-0.5"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_every_start_of_a_formula_is_defused(start):
    assert escape_formula(f"{start}1")[0] in "'\\"


def test_latex_characters_print_as_themselves(hostile):
    text = to_latex(hostile)
    assert r"\textless{}script\textgreater{}alert(1)" in text
    assert r"50\%\_\&\#\{\}\$\textasciitilde{}\textasciicircum{}\textbackslash{}" in text
    assert r"two lines &" in text
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert all(line.replace(r"\&", "").count("&") == 2 for line in body)
    assert escape_latex("−1 ± ρ") == r"$-$1 $\pm$ $\rho$"


def test_what_is_not_known_is_a_dash():
    assert cell_text(Summary(0, None, None)) == "–"
    assert cell_text(7) == "7"
