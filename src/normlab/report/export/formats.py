"""A table as Markdown, CSV or LaTeX; every text is escaped for the form that it goes into."""

from __future__ import annotations

import csv
import io

from normlab.report.export.table import Cell, Printed, Table
from normlab.stats.data.metrics import format_difference
from normlab.stats.inference.intervals import PairedDifference, Summary
from normlab.text import table_cell, visible

DIGITS = 4
"""Decimals of every figure, as in the original's tables."""

NOTHING = "–"
"""What stands where there is no number."""

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "–": r"--",
    "×": r"$\times$",
    "α": r"$\alpha$",
    "ρ": r"$\rho$",
}


def to_markdown(table: Table) -> str:
    """A pipe table under its title, with its caption below."""
    align = ["---" if text else "---:" for text in table.text_columns]
    lines = [[_escape_markdown(text) for text in table.head], align]
    lines += [[_escape_markdown(cell_text(cell)) for cell in row] for row in table.rows]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    title, caption = _escape_markdown(table.title), _escape_markdown(table.caption)
    return f"### {title}\n\n{body}\n\n{caption}\n"


def to_csv(table: Table) -> str:
    r"""One line a row; a figure becomes two columns, its mean and its sd, in full precision.

    RFC 4180, with \n as the end of a line. Text that a spreadsheet would run as a formula gets an
    apostrophe in front.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    head: list[str] = []
    for index, name in enumerate(table.head):
        figure = _is_figure(table, index)
        head += [f"{name} mean", f"{name} sd"] if figure else [name]
    writer.writerow([escape_formula(name) for name in head])
    for row in table.rows:
        fields: list[str | int] = []
        for cell in row:
            if isinstance(cell, Summary):
                fields += ["" if value is None else repr(value) for value in (cell.mean, cell.sd)]
            elif isinstance(cell, Printed):
                fields.append("" if cell.value is None else repr(cell.value))
            else:
                fields.append(escape_formula(cell) if isinstance(cell, str) else cell)
        writer.writerow(fields)
    return buffer.getvalue()


def to_latex(table: Table) -> str:
    """A table environment for the booktabs package, ready to be input."""
    columns = "".join("l" if text else "r" for text in table.text_columns)
    head = " & ".join(escape_latex(text) for text in table.head)
    rows = [" & ".join(escape_latex(cell_text(cell)) for cell in row) for row in table.rows]
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{escape_latex(f'{table.title}. {table.caption}')}}}",
            rf"  \label{{tab:{table.slug}}}",
            rf"  \begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            rf"    {head} \\",
            r"    \midrule",
            *(rf"    {row} \\" for row in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def points(found: PairedDifference) -> str:
    """A difference of accuracies in points, with its interval where there is one."""
    if found.mean is None:
        return NOTHING
    text = format_difference("accuracy", found.mean)
    if found.interval is None:
        return text
    ends = (found.interval.low, found.interval.high)
    low, high = (format_difference("accuracy", end) for end in ends)
    return f"{text} [{low}, {high}]"


def cell_text(cell: Cell) -> str:
    """A cell as it is printed.

    >>> cell_text(Summary(3, 0.81, 0.006)), cell_text(Summary(1, 0.81, None))
    ('0.8100 ± 0.0060', '0.8100')
    """
    if isinstance(cell, Printed):
        return cell.text
    if not isinstance(cell, Summary):
        return str(cell)
    if cell.mean is None:
        return NOTHING
    mean = f"{cell.mean:.{DIGITS}f}"
    return mean if cell.sd is None else f"{mean} ± {cell.sd:.{DIGITS}f}"


def escape_formula(text: str) -> str:
    """Text that no spreadsheet takes for a formula, and in which nothing acts unseen."""
    return table_cell(text, lines=True)


def escape_latex(text: str) -> str:
    r"""Text in which every character prints as itself.

    >>> print(escape_latex("50% of a_b"))
    50\% of a\_b
    """
    return "".join(
        _LATEX.get(character, character) for character in visible(" ".join(text.split()))
    )


def _escape_markdown(text: str) -> str:
    """Keeps a cell in its column and markup out of it."""
    text = visible(" ".join(text.split())).replace("\\", "\\\\")
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for character in "|`*_[]":
        text = text.replace(character, "\\" + character)
    return text


def _is_figure(table: Table, index: int) -> bool:
    return any(isinstance(row[index], Summary) for row in table.rows)
