"""Whether a number is a share or per cent, cell by cell, and that no rule guesses."""

from __future__ import annotations

import pytest

from normlab.stats.audit.printing import describe
from normlab.stats.audit.rules import audit
from normlab.stats.audit.rules.base import Known

TITLE = "Table 1: validation accuracy on 84 images"


def csv(heads: str, *rows: str, title: str = TITLE) -> str:
    return "\n".join([*([title] if title else []), heads, *rows]) + "\n"


def read(tables_of, heads: str, *cells: str) -> list[tuple[float, bool]]:
    (table,) = tables_of(csv(heads, *(f"n{i},{c}" for i, c in enumerate(cells))), "t.csv")
    return [(round(f.value, 6), f.known_scale) for f in table.figures]


def test_a_sign_speaks_for_its_own_cell(tables_of) -> None:
    rows = ("BN,0.8333,0.8333,0.8201", "GN,0.8412,0.8412,0.8333", "BIN,86.90 %,0.8571,0.8500")
    text = csv("norm,validation accuracy,micro F1,macro F1", *rows)
    (found,) = audit(tables_of(text, "t.csv"), Known(balanced=True)).certain
    assert (found.code, found.row) == ("AU02", "BIN")
    assert found.arithmetic == ("micro F1 0.8571 − accuracy 0.8690 (printed as 86.90%) = −0.0119")
    equal = csv("norm,validation accuracy,micro F1", "BN,.8333,83.33 %", "GN,84.12 %,.8412")
    assert audit(tables_of(equal, "t.csv")).certain == ()


@pytest.mark.parametrize(
    ("head", "cells", "expected"),
    [
        ("acc", ["0.83", "86.9 %"], [(0.83, True), (0.869, True)]),
        ("acc", ["0.84", "86.9 %", "85.7 %"], [(0.84, True), (0.869, True), (0.857, True)]),
        ("acc", ["0.1", "86.9 %", "85.7 %"], [(0.1, False), (0.869, True), (0.857, True)]),
        ("acc", ["0.61", "0.52 %"], [(0.61, False), (0.0052, True)]),  # at chance, 200 classes
        ("acc", [".83", ".84", "86.9"], [(0.0083, False), (0.0084, False), (0.869, True)]),
        ("acc", ["94.2", "93.1", "0.1"], [(0.942, True), (0.931, True), (0.001, False)]),
        ("acc", [".98", "1.04", ".97"], [(0.98, True), (1.04, True), (0.97, True)]),
        ("acc (%)", [".98", "1.04", ".97"], [(0.98, False), (0.0104, False), (0.97, False)]),
        ("acc", [".98", "1.04"], [(0.98, False), (1.04, False)]),
        ("acc (%)", [".946", ".95"], [(0.946, True), (0.95, True)]),
        (
            "acc,error",
            ["93.9,6.1", "94.0,6.0 %"],
            [(0.939, True), (0.061, True), (0.94, True), (0.06, True)],
        ),
        ("acc,error", ["93.9 %,.061"], [(0.939, True), (0.061, False)]),
        (
            "acc,error",
            [".939,.061", ".942,5.8 %"],
            [(0.939, True), (0.061, True), (0.942, True), (0.058, True)],
        ),
        ("acc (%),error (%)", [".939,.061"], [(0.939, True), (0.00061, False)]),
        ("error (%)", [".23", "1.2"], [(0.0023, True), (0.012, True)]),
        ("error", [".061", ".058", "6.2"], [(0.00061, False), (0.00058, False), (0.062, True)]),
    ],
)
def test_units_cell_by_cell(tables_of, head, cells, expected) -> None:
    assert read(tables_of, f"norm,{head}", *cells) == expected


@pytest.mark.parametrize(
    ("heads", "rows"),
    [
        ("top-1,top-5", [".5,2.1", ".6,3.0"]),
        ("top-1,top-5", [".9,3.1", ".8,3.0", "1.3,4.0"]),
        ("top-1,top-5", [".5,1.5", ".6,1.8"]),
        ("accuracy,error", [".5,99.5", ".6,99.4"]),
    ],
)
def test_networks_that_have_learned_nothing_are_not_accused(tables_of, heads, rows) -> None:
    """All of these are per cent: of 1000 classes, chance is right in .1 %."""
    text = csv(f"norm,{heads}", *(f"n{i},{row}" for i, row in enumerate(rows)), title="")
    assert audit(tables_of(text, "t.csv"), Known(images=10_000, balanced=True)).certain == ()


def test_cells_of_no_known_unit_are_named(tables_of) -> None:
    (table,) = tables_of(csv("norm,acc", "BN,.83", "GN,86.9"), "t.csv")
    assert describe(table).endswith("; 1 cell of no known unit (share or per cent?): .83")


def test_units_where_the_rows_say_the_metric(tables_of) -> None:
    text = csv("metric,BN,GN,BIN", "accuracy,0.8333,0.8412,86.90 %", "micro F1,.8333,.8412,.8571")
    (found,) = audit(tables_of(text, "t.csv")).certain
    assert (found.code, found.row) == ("AU02", "BIN")


def test_a_part_that_only_the_other_head_names_is_asked(tables_of) -> None:
    text = csv("norm,validation accuracy,micro F1", "BN,.9,.9", "BIN,86.90 %,0.8571", title="")
    report = audit(tables_of(text, "t.csv"))
    assert report.certain == ()
    (asked,) = (one for one in report.questions if one.code == "AU02")
    assert asked.row == "BIN"
    assert asked.arithmetic.endswith("nothing says the part of micro F1: is it validation as well?")
    trained = csv("norm,train accuracy,micro F1", "BN,.99,.9", title="")
    assert "AU02" not in [one.code for one in audit(tables_of(trained, "t.csv")).questions]
    both = csv("norm,val acc,test acc,micro F1", "BN,.99,.9,.9", title="")
    assert "AU02" not in [one.code for one in audit(tables_of(both, "t.csv")).questions]


@pytest.mark.parametrize(
    ("heads", "row", "sentence"),
    [
        ("acc,micro F1", "90.0,92.0", "micro F1 92.0 − accuracy 90.0 = +2.00"),
        ("acc,micro F1", "90.0001,90.0004", "micro F1 90.0004 − accuracy 90.0001 = +0.0003"),
        ("acc,micro F1", ".90,92.0 %", "micro F1 92.0% − accuracy 90 (printed as .90) = +2.00"),
        ("acc,error", "90.1,9.5", "accuracy 90.1 and error 9.5 make 99.60"),
        ("acc,error", ".901,9.5 %", "accuracy .901 and error 0.095 (printed as 9.5%) make 0.9960"),
        (
            "acc,macro F1",
            "50.0,70.0",
            "macro F1 70.0 is outside [33.28, 66.76] for accuracy 50.0 over classes of equal size",
        ),
    ],
)
def test_a_sentence_keeps_one_unit(tables_of, heads, row, sentence) -> None:
    text = csv(f"norm,{heads}", f"BN,{row}", title="Test results")
    (found,) = audit(tables_of(text, "t.csv"), Known(balanced=True)).certain
    assert found.arithmetic == sentence
