"""Tables of accuracies as others print them: CSV, Markdown and LaTeX, read cell by cell.

A cell keeps its printed digits, for they say how exactly it is known. Values above 1 in a column of
shares are per cent. Tables that stand side by side, parted by an empty column, are two.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from normlab.errors import DataError

METRICS = {
    "loss": r"loss|cross.?entropy",
    "accuracy": r"acc(uracy)?\b|top.?1",
    "micro F1": r"micro",
    "macro F1": r"macro",
}
SHARES = ("accuracy", "micro F1", "macro F1")
_NUMBER = re.compile(r"-?\d*\.?\d+(?:[eE][-+]?\d+)?")
_SPREAD = re.compile(r"±|\\pm|\+/-|\bsd\b|\bstd\b")


@dataclass(frozen=True)
class Printed:
    """A number as it was printed; a share is a fraction of 1."""

    text: str
    value: float
    decimals: int
    """Digits behind the point, of the value."""

    @property
    def half(self) -> float:
        """Half of the last digit: how far the true value may be away."""
        return float(0.5 * 10.0**-self.decimals)


@dataclass(frozen=True)
class PublishedRow:
    """One row: what it is of, and its figures by metric."""

    label: str
    cells: Mapping[str, Printed]


@dataclass(frozen=True)
class PublishedTable:
    """One table."""

    title: str
    part: str
    """"train", "validation", or "" where nothing says."""
    rows: tuple[PublishedRow, ...]
    has_spread: bool
    """Whether any cell or column gives a spread over runs."""


def read_tables(path: Path) -> list[PublishedTable]:
    """All tables of a file that have a column of accuracy, loss or F1.

    Raises:
        DataError: the file cannot be read, or holds no such table.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8 text"
        raise DataError(f"{path} cannot be read: {reason}") from None
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        grids = [(path.stem, _csv(text))]
    elif suffix == ".tex" or "\\begin{tabular" in text:
        grids = list(_latex(text))
    else:
        grids = list(_markdown(text))
    tables = [t for title, grid in grids for part in _apart(grid) for t in _table(title, part)]
    if not tables:
        raise DataError(
            f"{path} holds no table with a column of accuracy, loss, micro or macro F1; give CSV, "
            "Markdown or LaTeX tables with a header"
        )
    return tables


Grid = Sequence[Sequence[str]]


def _csv(text: str) -> Grid:
    first = text.partition("\n")[0]
    delimiter = max("\t;,", key=first.count)
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    return [[cell.strip() for cell in row] for row in rows]


def _markdown(text: str) -> Iterator[tuple[str, Grid]]:
    title, grid = "", []
    for line in [*text.splitlines(), ""]:
        stripped = line.strip()
        if stripped.startswith("|"):
            cells = [cell.strip(" *`") for cell in stripped.strip("|").split("|")]
            if not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
                grid.append(cells)
        else:
            if grid:
                yield title, grid
                grid = []
            if stripped:
                title = stripped.strip("#* :")


def _latex(text: str) -> Iterator[tuple[str, Grid]]:
    for match in re.finditer(r"\\begin\{tabular[x*]?\}(.*?)\\end\{tabular[x*]?\}", text, re.DOTALL):
        before = text[: match.start()]
        captions = re.findall(r"\\caption\{(.*?)\}\s*(?:\\label|$|\n|\\)", text[match.end() :])
        near = re.findall(r"\\caption\{([^}]*)\}", before[before.rfind("\\begin{table") :])
        title = (near or captions or [""])[0]
        body = re.sub(r"^\s*(\{[^}]*\})+", "", match[1])
        body = re.sub(r"\\(top|mid|bottom|h|c)(rule|line)(\{[^}]*\}|\([^)]*\))*", "", body)
        rows = [row.split("&") for row in re.split(r"\\\\(?:\[[^]]*\])?", body)]
        grid = [[_plain(cell) for cell in row] for row in rows]
        yield title, [row for row in grid if any(row)]


def _plain(cell: str) -> str:
    cell = re.sub(r"\\(?:textbf|textit|emph|mathbf|underline|text)\{([^}]*)\}", r"\1", cell)
    return cell.replace("$", "").replace("\\%", "%").replace("\\pm", "±").strip(" \n{}")


def _apart(grid: Grid) -> Iterator[Grid]:
    """Tables side by side, parted by columns that are empty everywhere."""
    width = max((len(row) for row in grid), default=0)
    rows = [[*row, *[""] * (width - len(row))] for row in grid]
    first = 0
    for column in range(width + 1):
        if column == width or not any(row[column] for row in rows):
            if column > first:
                yield [row[first:column] for row in rows]
            first = column + 1


def _table(title: str, grid: Grid) -> Iterator[PublishedTable]:
    if len(grid) < 2:
        return
    head, *body = grid
    metrics = {}
    for index, name in enumerate(head):
        found = [m for m, pattern in METRICS.items() if re.search(pattern, name, re.IGNORECASE)]
        if index and found:
            metrics[index] = found[-1]
    parts = {_part(head[index]) for index in metrics} - {""}
    where = _part(title) or (parts.pop() if len(parts) == 1 else "")
    prefix = head[0] if "," in head[0] else ""  # "BN, batch" over 8, 32, 128
    rows = []
    for cells in body:
        values = {m: p for k, m in metrics.items() if (p := _printed(cells[k], m)) is not None}
        label = f"{prefix} {cells[0]}".strip()
        if values and label:
            rows.append(PublishedRow(label, values))
    if metrics and rows:
        spread = any(_SPREAD.search(cell) for row in grid for cell in row)
        yield PublishedTable(title, where, tuple(_as_shares(rows)), spread)


def _part(text: str) -> str:
    if re.search(r"\bval|\btest\b|\beval", text, re.IGNORECASE):
        return "validation"
    return "train" if re.search(r"\btrain", text, re.IGNORECASE) else ""


def _printed(cell: str, metric: str) -> Printed | None:
    match = _NUMBER.search(cell.replace(",", ".") if cell.count(",") == 1 else cell)
    if match is None:
        return None
    decimals = len(match[0].partition(".")[2].partition("e")[0])
    return Printed(match[0], float(match[0]), decimals)


def _as_shares(rows: Sequence[PublishedRow]) -> Iterator[PublishedRow]:
    """Per cent as fractions, where any share of the table is above 1."""
    values = [row.cells[m].value for row in rows for m in SHARES if m in row.cells]
    if not values or max(values) <= 1:
        yield from rows
        return
    for row in rows:
        cells = {
            m: Printed(p.text, p.value / 100, p.decimals + 2) if m in SHARES else p
            for m, p in row.cells.items()
        }
        yield PublishedRow(row.label, cells)
