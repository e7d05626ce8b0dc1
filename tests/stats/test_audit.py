"""Published tables: reading three formats, each rule by hand, and the report that began it all."""

from __future__ import annotations

from pathlib import Path

import pytest

from normlab.errors import DataError
from normlab.stats.audit.rules import TITLES, AuditFinding, audit
from normlab.stats.audit.tables import PublishedTable, read_tables

CLEAN = """Validation results

| norm | accuracy ± sd | micro F1 | macro F1 |
|---|---|---|---|
| bn | 0.90 ± .01 | 0.90 | 0.91 |
| gn | 0.80 ± .01 | 0.80 | 0.79 |
"""
REPORT = """Validation tables as printed

| scheme | loss | accuracy | micro F1 | macro F1 |
|---|---|---|---|---|
| BIN | 0.1874 | 0.9460 | 0.9460 | 0.9468 |
| BN | 0.1874 | 0.9460 | 0.9460 | 0.9468 |
| LN | 0.2631 | 0.9186 | 0.9186 | 0.9189 |

| BN, batch | accuracy | micro F1 | | GN, batch | accuracy | micro F1 | macro F1 |
|---|---|---|---|---|---|---|---|
| 32 | 0.8351 | 0.8351 | | 128 | 0.9880 | 0.9744 | 0.9288 |

Training tables as printed

| GN, batch | accuracy |
|---|---|
| 128 | 0.9400 |
"""


def tables_of(tmp_path: Path, text: str, name: str = "tables.md") -> list[PublishedTable]:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return read_tables(tmp_path / name)


def codes(found: list[AuditFinding]) -> list[str]:
    return [finding.code for finding in found]


def test_nothing_is_found_in_a_clean_table(tmp_path: Path) -> None:
    assert audit(tables_of(tmp_path, CLEAN), 7500) == []


def test_tables_side_by_side(tmp_path: Path) -> None:
    tables = tables_of(tmp_path, REPORT)
    assert [[row.label for row in table.rows] for table in tables] == [
        ["BIN", "BN", "LN"],
        ["BN, batch 32"],
        ["GN, batch 128"],
        ["GN, batch 128"],
    ]
    assert [table.part for table in tables] == ["validation"] * 3 + ["train"]


def test_the_report(tmp_path: Path) -> None:
    found = audit(tables_of(tmp_path, REPORT), 7500, same={"BN": "BN, batch 32"})
    by_code = {code: [f for f in found if f.code == code] for code in TITLES}
    assert [f.row for f in by_code["AU01"]] == ["LN"]
    assert "6889/7500 = 0.91853 and 6890/7500 = 0.91867" in by_code["AU01"][0].arithmetic
    assert [f.row for f in by_code["AU02"]] == ["GN, batch 128"]
    assert by_code["AU02"][0].arithmetic == "micro F1 0.9744 − accuracy 0.9880 = -0.0136"
    assert [f.row for f in by_code["AU03"]] == ["GN, batch 128"]
    assert [f.row for f in by_code["AU04"]] == ["BIN and BN"]
    assert [f.row for f in by_code["AU05"]] == ["BN and BN, batch 32"] * 2
    assert [f.row for f in by_code["AU06"]] == ["GN, batch 128"]
    assert [f.row for f in by_code["AU07"]] == ["BIN and BN"]
    assert len(by_code["AU08"]) == 1


def test_latex_and_csv_say_the_same(tmp_path: Path) -> None:
    latex = r"""
\begin{table}\caption{Validation}
\begin{tabular}{lcc}
\toprule
norm & Acc. (\%) & Micro F1 (\%) \\
\midrule
\textbf{BN} & 94.60 $\pm$ 0.20 & $94.60$ \\
GN & 73.12 & 73.10 \\
\bottomrule
\end{tabular}
\end{table}
"""
    (table,) = tables_of(tmp_path, latex, "t.tex")
    assert (table.title, table.part, table.has_spread) == ("Validation", "validation", True)
    assert [row.label for row in table.rows] == ["BN", "GN"]
    cell = table.rows[0].cells["accuracy"]
    assert (cell.text, cell.value, cell.decimals) == ("94.60", pytest.approx(0.946), 4)
    assert codes(audit([table], 10_000)) == ["AU02"]
    content = "norm;val accuracy;val micro F1\nBN;0,9460;0,9460\nGN;0,7312;0,7310\n"
    (same,) = tables_of(tmp_path, content, "t.csv")
    assert same.part == "validation"
    assert same.rows[1].cells["accuracy"].value == pytest.approx(0.7312)
    assert codes(audit([same], 10_000)) == ["AU02", "AU08"]


@pytest.mark.parametrize(
    ("printed", "images", "possible"),
    [
        ("0.333", 3, True),
        ("0.334", 3, False),
        ("0.67", 3, True),
        ("1.0", 7, True),
        ("0.9186", 7500, False),
        ("0.9187", 7500, True),
        ("0.5", 7500, True),
    ],
)
def test_counts(tmp_path: Path, printed: str, images: int, possible: bool) -> None:
    text = f"| norm | accuracy ± sd |\n|---|---|\n| bn | {printed} |\n"
    assert ("AU01" in codes(audit(tables_of(tmp_path, text), images))) is not possible


def test_macro_bounds_are_reached(tmp_path: Path) -> None:
    """For a = 0.5: 1/3 (half of the classes take all) and 2/3 (one class takes all errors)."""
    for macro, inside in (("0.333", True), ("0.330", False), ("0.667", True), ("0.670", False)):
        text = f"| norm | accuracy ± | macro F1 |\n|---|---|---|\n| bn | 0.500 | {macro} |\n"
        assert ("AU03" not in codes(audit(tables_of(tmp_path, text), 1000))) is inside


def test_training_accuracies_are_counted_where_their_number_is_known(tmp_path: Path) -> None:
    text = "Training ±\n\n| norm | accuracy ± |\n|---|---|\n| bn | 0.3341 |\n"
    tables = tables_of(tmp_path, text)
    assert audit(tables, 3) == []
    assert codes(audit(tables, 3, train_images=3)) == ["AU01"]


@pytest.mark.parametrize("content", ["", "| a | b |\n|---|---|\n| x | y |\n", "no table"])
def test_files_without_tables(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataError, match="holds no table with a column of accuracy"):
        tables_of(tmp_path, content)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_tables(tmp_path / "gone.md")
    (tmp_path / "binary.md").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(DataError, match="not UTF-8"):
        read_tables(tmp_path / "binary.md")
