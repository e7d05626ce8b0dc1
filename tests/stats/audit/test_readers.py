"""Tables of every format: merged cells, heads in two rows, titles, and what is no table."""

from __future__ import annotations

import pytest

from normlab.errors import DataError
from normlab.stats.audit.reading import read_tables

MERGED_LATEX = r"""
\section{Experiments}
\newcommand{\bn}{Batch Norm}
\begin{table}[t] % 99.9 & in a comment
\caption{Results on \emph{CIFAR}. Mean of 3 runs.}
\begin{tabular*}{\textwidth}{@{}ll|cc@{}}
\toprule
\multirow{2}{*}{Net} & \multirow{2}{*}{Norm} & \multicolumn{2}{c}{Test accuracy (\%)} \\
\cmidrule(lr){3-4}
 & & CIFAR-10 & CIFAR-100 \\
\midrule
\multirow{2}{*}{R20} & \bn{} & \textbf{91.25}$^{\dagger}$ & $67.1_{\pm.3}$ \\
 & GN\footnote{Of 32.} & 90.40 & -- \\[2pt]
\midrule
\multicolumn{4}{c}{\textit{deeper}} \\
R110 & \bn & 93{,}57 & \makecell{72.0\\\small(0.4)} \\
\bottomrule
\end{tabular*}
\end{table}
"""
MERGED_HTML = """
<h2>Networks</h2>
<table><caption>Accuracy, %</caption><thead>
<tr><th rowspan=2>Model</th><th colspan="2">A</th><th colspan="2">B</th></tr>
<tr><th>Top-1</th><th>Top-5</th><th>Top-1</th><th>Top-5</th></tr></thead>
<tr><td><a href="x">r18</a></td><td>69.76</td><td>89.08<sup>1</sup></td><td>69.80</td>
<td>–</td></tr>
</table>
"""
GRID = """
Results
-------

+-------+---------------------+
| norm  | Validation          |
|       +----------+----------+
|       | accuracy | loss     |
+=======+==========+==========+
| bn    | 0.90     | 0.31     |
+-------+----------+----------+
| gn    | 0.80     | 0.52     |
+-------+----------+----------+
"""
LIST_TABLE = """
.. list-table:: Test results
   :header-rows: 1

   * - norm
     - accuracy
   * - bn
     - 0.90
"""
CSV_TABLE = """
.. csv-table:: Test results
   :header: norm, accuracy

   bn, 0.90
   gn, "0.80"
"""


def figures(tables) -> list[tuple[str, str, str, str, str]]:
    return [
        (entry.name, f.metric, f.part, f.dataset, f.text)
        for table in tables
        for entry in table.entries
        for f in entry.figures.values()
    ]


def test_latex(tables_of) -> None:
    (table,) = tables_of(MERGED_LATEX, "paper.tex")
    assert figures([table]) == [
        ("R20, Batch Norm", "accuracy", "test", "CIFAR-10", "91.25"),
        ("R20, Batch Norm", "accuracy", "test", "CIFAR-100", "67.1"),
        ("R20, GN", "accuracy", "test", "CIFAR-10", "90.40"),
        ("deeper, R110, Batch Norm", "accuracy", "test", "CIFAR-10", "93,57"),
        ("deeper, R110, Batch Norm", "accuracy", "test", "CIFAR-100", "72.0"),
    ]
    assert (table.runs, table.has_spread, table.title[:17]) == (3, True, "Results on CIFAR.")
    assert table.entries[1].figures["accuracy", "test"].printed.spread


def test_html(tables_of) -> None:
    for name in ("page.html", "README.md"):
        (table,) = tables_of(MERGED_HTML, name)
        assert figures([table]) == [
            ("r18, A", "accuracy", "", "", "69.76"),
            ("r18, A", "top-5 accuracy", "", "", "89.08"),
            ("r18, B", "accuracy", "", "", "69.80"),
        ]


@pytest.mark.parametrize("text", [GRID, LIST_TABLE, CSV_TABLE])
def test_rest(tables_of, text: str) -> None:
    (table,) = tables_of(text, "page.rst")
    assert figures([table])[0][:1] + figures([table])[0][4:] == ("bn", "0.90")
    assert len(table.entries) >= 1


def test_rest_heads_with_dashes_below(tables_of) -> None:
    text = (
        "=====  =====  =====\n       accuracy\n-----  ------------\nnorm   train  val\n"
        "=====  =====  =====\nbn     0.95   0.90\n=====  =====  =====\n"
    )
    (table,) = tables_of(text, "page.rst")
    assert [f[1:3] for f in figures([table])] == [("accuracy", "train"), ("accuracy", "validation")]


def test_metrics_in_rows_and_parts_in_rows(tables_of) -> None:
    (table,) = tables_of("|  | bn | gn |\n|---|---|---|\n| val acc | .9 | .8 |\n| loss | 1 | 2 |\n")
    assert [entry.name for entry in table.entries] == ["bn", "gn"]
    (table,) = tables_of(
        "| set | acc | loss |\n|---|---|---|\n| train | .9 | 1 |\n| val | .8 | 2 |"
    )
    assert [f.part for f in table.figures] == ["train", "train", "validation", "validation"]


def test_side_by_side_and_a_second_row_of_heads(tables_of) -> None:
    text = (
        "Validation\n\n| BN, batch | acc | | GN, batch | acc |\n|---|---|---|---|---|\n"
        "| 8 | .9 | | 8 | .8 |\n"
    )
    tables = tables_of(text)
    assert [entry.name for t in tables for entry in t.entries] == ["BN, batch 8", "GN, batch 8"]
    assert tables[1].figures[0].column == 4
    text = "a,accuracy,loss\nx,.9,1\nb,top-1,top-5\ny,.8,.9\n"
    assert [f[1] for f in figures(tables_of(text, "t.csv"))] == [
        *("accuracy", "loss", "accuracy", "top-5 accuracy")
    ]


def test_the_title_says_the_metric(tables_of) -> None:
    text = (
        "Top-1 accuracy on the validation set of ImageNet. GN-BN is a difference.\n\n"
        "|  | (8,32) | (8,2) |\n|---|---|---|\n| BN | 76.4 | 65.3 |\n| GN | 75.9 | 75.9 |\n"
        "| GN-BN | −0.5 | 10.6 |\n"
    )
    (table,) = tables_of(text)
    assert [f[0] for f in figures([table])] == [
        "BN, (8,32)",
        "BN, (8,2)",
        "GN, (8,32)",
        "GN, (8,2)",
    ]
    assert table.unread == ("−0.5", "10.6")
    text = (
        "Top1/Top5 error.\n\n| net | ours |\n|---|---|\n| r18 | 30.24/10.92 |\n| r34 | 26.7/– |\n"
    )
    (table,) = tables_of(text)
    assert [f[1] for f in figures([table])] == ["error", "top-5 error", "error"]


def test_other_metrics_are_left_aside_and_named(tables_of) -> None:
    text = (
        "| net | mAP | balanced acc | acc | params |\n|---|---|---|---|---|\n| a | 9 | 8 | 7 | 1 |"
    )
    (table,) = tables_of(text)
    assert [f[1] for f in figures([table])] == ["accuracy"]
    assert table.unused == ("mAP", "balanced acc", "params")


def test_groups_say_what_a_row_is(tables_of) -> None:
    text = "| n | acc |\n|---|---|\n| **BN** | |\n| 8 | .9 |\n| **GN** | |\n| 8 | .8 |\n"
    (table,) = tables_of(text)
    assert [entry.labels for entry in table.entries] == [("BN", "n 8"), ("GN", "n 8")]


def test_running_text(tables_of) -> None:
    text = (
        "Table 2. Validation\n\nnorm Micro F1 Macro F1\nbatch norm 0.90 0.91 \ngn 0.80 –\n\nWords."
    )
    (table,) = tables_of(text, "report.txt")
    assert [(f[0], f[1], f[4]) for f in figures([table])] == [
        ("batch norm", "micro F1", "0.90"),
        ("batch norm", "macro F1", "0.91"),
        ("gn", "micro F1", "0.80"),
    ]
    words = "Table 2 shows that 3 of 4\nnetworks are better.\n"
    with pytest.raises(DataError, match="holds no table"):
        tables_of(words, "report.txt")


def test_heads_that_cannot_be_told_apart_are_not_read(tables_of) -> None:
    text = "Table 1: Test\nbatch norm group norm accuracy\n0.1 0.2 0.9\n"
    with pytest.raises(DataError, match="holds no table"):
        tables_of(text, "report.txt")


@pytest.mark.parametrize("text", ["", "| a | b |\n|---|---|\n| x | y |\n", "no table"])
def test_files_without_tables(tables_of, text: str) -> None:
    with pytest.raises(DataError, match="holds no table with a column of accuracy"):
        tables_of(text)


def test_files_that_cannot_be_read(tmp_path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_tables(tmp_path / "gone.md")
    (tmp_path / "binary.md").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(DataError, match="not UTF-8"):
        read_tables(tmp_path / "binary.md")
