"""The report that the project began with: all impossibilities of its Tables 1 to 7, no other."""

from __future__ import annotations

import pytest

from normlab.stats.audit.rules import AuditReport, audit
from normlab.stats.audit.rules.base import Known

METRICS = ["Loss", "Accuracy", "Micro F1", "Macro F1"]
STUDY = {
    "Validation": """BIN .1874 .9460 .9460 .9468|BN .1874 .9460 .9460 .9468
        |GN .8649 .7312 .7312 .7424
        |IN .3080 .9031 .9031 .9035|LN .2631 .9186 .9186 .9189|none .4589 .8557 .8557 .8566""",
    "Training": """BIN .0895 .9699 .9699 .9699|BN .0895 .9699 .9699 .9699
        |GN .6752 .7907 .7907 .7909
        |IN .3384 .8915 .8915 .8916|LN .2533 .9158 .9158 .9158|none .4160 .8720 .8720 .8721""",
}
BATCHES = {
    ("Validation", "BN"): "8 .5766 .9275 .9275 .9277|32 .5539 .8351 .8351 .8370"
    "|128 .5622 .8753 .8748 .8761",
    ("Validation", "GN"): "8 .1602 .9542 .9542 .9542|32 .8649 .7312 .7312 .7424"
    "|128 .3227 .9880 .9744 .9288",
    ("Training", "BN"): "8 .1938 .9377 .9377 .9377|32 .5142 .8425 .8425 .8429"
    "|128 .4028 .8760 .8760 .8758",
    ("Training", "GN"): "8 .1664 .9467 .9467 .9467|32 .3671 .9399 .9839 .9583"
    "|128 .3676 .9400 .9839 .9584",
}
FIRST = [
    ["part", *METRICS],
    ["train", "1.2794", "0.5398", "0.5345", "0.5109"],
    ["validation", "1.3342", "0.5123", "0.5231", "0.5012"],
]
FORMATS = (
    *("markdown", "markdown, bare pipes", "csv", "csv, decimal commas", "tsv", "latex", "html"),
    *("rst", "rst, list-table", "text, tabs", "text, spaces", "text, single spaces"),
)


def rows_of(text: str) -> list[list[str]]:
    rows = [row.split() for row in text.split("|")]
    return [[name, *(f"0{number}" for number in numbers)] for name, *numbers in rows]


def tables() -> list[tuple[str, list[list[str]]]]:
    """Titles and cells of Tables 1 to 7."""
    found = [("First experiment", FIRST)]
    found += [(f"{part} results", [["scheme", *METRICS], *rows_of(t)]) for part, t in STUDY.items()]
    found += [
        (f"{part} results of {norm} by batch size", [["batch", *METRICS], *rows_of(text)])
        for (part, norm), text in BATCHES.items()
    ]
    return found


def codes(report: AuditReport, kind: str) -> list[tuple[str, str]]:
    return [(one.code, "/".join(one.values)) for one in report.findings if one.kind == kind]


@pytest.mark.parametrize("form", FORMATS)
def test_tables_1_to_7(form: str, tables_of, made) -> None:
    suffix, render = made.FORMATS[form]
    text = "\n\n".join(render(title, rows) for title, rows in tables())
    known = Known(images=7500, balanced=True)
    report = audit(tables_of(text, f"report{suffix}"), known)
    certain = [
        (code, values.replace(",", ".")) for code, values in sorted(codes(report, "certain"))
    ]
    assert certain == [
        ("AU01", "0.9186"),
        ("AU01", "0.9542"),
        ("AU02", "0.5123/0.5231"),
        ("AU02", "0.5398/0.5345"),
        ("AU02", "0.8753/0.8748"),
        ("AU02", "0.9399/0.9839"),
        ("AU02", "0.9400/0.9839"),
        ("AU02", "0.9880/0.9744"),
        ("AU03", "0.9880/0.9288"),
    ]
    asked = {(one.code, one.row) for one in report.questions}
    assert {("AU04", "BIN and BN")} <= asked
    two = [one for one in report.questions if one.code == "AU05"]
    assert len(two) == 3  # BN in both parts, GN in training; GN's validation row was copied
    above = [one for one in report.questions if one.code == "AU06"]
    assert any("9880" in one.arithmetic for one in above)


def test_without_knowing_the_images_nothing_is_counted(tables_of, made) -> None:
    suffix, render = made.FORMATS["markdown"]
    text = "\n\n".join(render(title, rows) for title, rows in tables())
    report = audit(tables_of(text, f"report{suffix}"))
    assert {code for code, _ in codes(report, "certain")} == {"AU02"}
    assert not {"AU01", "AU06", "AU07"} & {one.code for one in report.findings}
    assert ("AU03", "0.9880/0.9288") in codes(report, "question")


def test_the_same_cell_is_certain_once_somebody_says_so(tables_of) -> None:
    text = (
        "Validation\n\n| norm | loss | acc |\n|---|---|---|\n| BN | .1874 | .9460 |\n"
        "| GN | .8 | .7 |"
        "\n\nValidation\n\n| BN, batch | loss | acc |\n|---|---|---|\n| 8 | .57 | .9275 |\n"
        "| 32 | .5539 | .8351 |\n"
    )
    report = audit(tables_of(text), Known(same={"BN": "BN, batch 32"}))
    assert [one.arithmetic for one in report.certain] == [
        "validation loss is .1874 in one table and .5539 in another",
        "validation accuracy is .9460 in one table and .8351 in another",
    ]
    report = audit(tables_of(text), Known(same={"BN": "LN"}))
    assert report.notes == ("--same names 'LN', and no row is called so",)
