"""A table as Markdown, CSV or LaTeX; every text is escaped for the form that it goes into."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from normlab.report.export.table import Cell, Printed, Table
from normlab.stats.data.metrics import format_difference, format_value, printed_scale
from normlab.stats.inference.intervals import Interval, PairedDifference, Summary
from normlab.text import table_cell, visible

DIGITS = 4
"""Decimals of every figure, as in the original's tables."""

NOTHING = "–"
"""What stands where there is no number."""

Part = Literal["value", "sd", "low", "high"]
"""What a field of a CSV file holds of a cell."""

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
    r"""One line a row, every number in full precision and in a column of its own.

    A column of means with standard deviations becomes "… mean" and "… sd", one with intervals
    "… low" and "… high" beside the number. What is not known is empty; no two columns have the same
    heading. RFC 4180, with \n as the end of a line. Text that a spreadsheet would run as a formula
    gets an apostrophe in front.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = [_csv_column(table, index) for index in range(len(table.head))]
    writer.writerow(
        map(escape_formula, _unique([name for column in columns for name, _ in column]))
    )
    for row in table.rows:
        writer.writerow(
            field
            for cell, column in zip(row, columns, strict=True)
            for field in _csv_fields(cell, [part for _, part in column])
        )
    return buffer.getvalue()


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A CSV file of many rows, for programs alone; texts are written as `to_csv` does."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in (head, *rows):
        writer.writerow([escape_formula(x) if isinstance(x, str) else x for x in row])
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


def points(found: PairedDifference) -> Printed:
    """A difference of accuracies in points, with its interval where there is one."""
    mean = difference_cell("accuracy", found.mean)
    if found.mean is None or found.interval is None:
        return mean
    ends = interval_cell("accuracy", found.interval)
    return replace(mean, text=f"{mean.text} {ends.text}", interval=ends.interval)


def difference_cell(metric: str, value: float | None) -> Printed:
    """A difference with its sign, in points or nats."""
    if value is None:
        return Printed(None, NOTHING)
    return Printed(printed_scale(metric) * value, format_difference(metric, value))


def interval_cell(metric: str, found: Interval | None) -> Printed:
    """The interval of a difference alone."""
    if found is None:
        return Printed(None, NOTHING)
    low, high = (format_difference(metric, end) for end in (found.low, found.high))
    scale = printed_scale(metric)
    ends = (scale * found.low, scale * found.high)
    return Printed(None, f"[{low}, {high}]", interval=ends)


def summary_cell(metric: str, found: Summary) -> Printed:
    """A mean ± its standard deviation, in percent where the metric is a share."""
    if found.mean is None:
        return Printed(None, NOTHING)
    scale, text = printed_scale(metric), format_value(metric, found.mean)
    if found.sd is None:
        return Printed(scale * found.mean, text)
    return Printed(
        scale * found.mean, f"{text} ± {format_value(metric, found.sd)}", scale * found.sd
    )


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


def _csv_column(table: Table, index: int) -> list[tuple[str, Part]]:
    """The headings that a column of the table has in the file, and what stands below each."""
    name, cells = table.head[index], [row[index] for row in table.rows]
    printed = [cell for cell in cells if isinstance(cell, Printed)]
    has_sd = any(cell.sd is not None for cell in printed)
    if has_sd or any(isinstance(cell, Summary) for cell in cells):
        found: list[tuple[str, Part]] = [(f"{name} mean", "value"), (f"{name} sd", "sd")]
    elif any(cell.interval for cell in printed) and not any(
        isinstance(cell, (int, float)) or (isinstance(cell, Printed) and cell.value is not None)
        for cell in cells
    ):
        found = []
    else:
        found = [(name, "value")]
    if any(cell.interval for cell in printed):
        found += [(f"{name} low", "low"), (f"{name} high", "high")]
    return found


def _csv_fields(cell: Cell, parts: list[Part]) -> list[str | int]:
    """What a cell has of each part; text stands in the first field."""
    if isinstance(cell, Summary):
        cell = Printed(cell.mean, "", cell.sd)
    if isinstance(cell, Printed):
        low, high = cell.interval or (None, None)
        numbers = {"value": cell.value, "sd": cell.sd, "low": low, "high": high}
        return ["" if (number := numbers[part]) is None else repr(number) for part in parts]
    first = escape_formula(cell) if isinstance(cell, str) else cell
    return ["" if first == NOTHING else first, *("" for _ in parts[1:])]


def _unique(names: list[str]) -> list[str]:
    """The headings, a number behind each that was there before."""
    found: list[str] = []
    for name in names:
        number, own = 2, name
        while own in found:
            number, own = number + 1, f"{name} ({number})"
        found.append(own)
    return found
