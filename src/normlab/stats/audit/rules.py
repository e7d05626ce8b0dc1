"""What arithmetic forbids, and what it makes doubtful, in tables of accuracies.

AU01  an accuracy is a count of images: k/N must round to what is printed (GRIM, Brown &
Heathers 2017)
AU02  micro F1 of a task with one label an image is the accuracy
AU03  with equally many images of each class, 2a²/(1 + a) ≤ macro F1 ≤ 2a/(1 + a) for the
accuracy a: by Cauchy's and by Jensen's inequality
AU04  two arms do not agree in every digit of every figure
AU05  one cell is not printed with two values
AU06  a network is not better on images that it has not seen, beyond sampling error
AU07  differences inside the sampling error of N images decide nothing
AU08  one run an arm has no spread
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from normlab.stats.audit.tables import METRICS, PublishedRow, PublishedTable

Z = 1.959964
TITLES = {
    "AU01": "accuracy is a count of images",
    "AU02": "micro F1 is the accuracy",
    "AU03": "macro F1 within its bounds",
    "AU04": "arms differ",
    "AU05": "one cell, one value",
    "AU06": "validation not above training",
    "AU07": "differences beyond sampling error",
    "AU08": "more than one run an arm",
}


@dataclass(frozen=True)
class AuditFinding:
    """One finding: where, which rule, and the arithmetic."""

    code: str
    table: str
    row: str
    arithmetic: str


def audit(
    tables: Sequence[PublishedTable],
    images: int,
    *,
    train_images: int | None = None,
    same: Mapping[str, str] | None = None,
) -> list[AuditFinding]:
    """All findings, in the order of the tables; `same` maps a row's label to its other name."""
    found: list[AuditFinding] = []
    for table in tables:
        count = train_images if table.part == "train" else images
        for row in table.rows:
            found += _count(table, row, count)
            found += _micro(table, row)
            found += _macro(table, row)
        found += _identical(table)
        if count:
            found += _undecided(table, count)
    found += _two_values(tables, same or {})
    found += _above_training(tables, images)
    found += _one_run(tables)
    return found


def _count(table: PublishedTable, row: PublishedRow, images: int | None) -> Iterator[AuditFinding]:
    cell = row.cells.get("accuracy")
    if cell is None or images is None:
        return
    low, high = (cell.value - cell.half) * images, (cell.value + cell.half) * images
    if math.ceil(low - 1e-9) > math.floor(high + 1e-9):
        below, above = math.floor(low), math.ceil(high)
        yield AuditFinding(
            "AU01",
            table.title,
            row.label,
            f"{cell.text}: {below}/{images} = {below / images:.{cell.decimals + 1}f} and "
            f"{above}/{images} = {above / images:.{cell.decimals + 1}f}, and nothing between",
        )


def _micro(table: PublishedTable, row: PublishedRow) -> Iterator[AuditFinding]:
    accuracy, micro = row.cells.get("accuracy"), row.cells.get("micro F1")
    if accuracy is None or micro is None:
        return
    gap = micro.value - accuracy.value
    if abs(gap) > accuracy.half + micro.half + 1e-12:
        yield AuditFinding(
            "AU02",
            table.title,
            row.label,
            f"micro F1 {micro.text} − accuracy {accuracy.text} = {gap:+.4f}",
        )


def _macro(table: PublishedTable, row: PublishedRow) -> Iterator[AuditFinding]:
    accuracy, macro = row.cells.get("accuracy"), row.cells.get("macro F1")
    if accuracy is None or macro is None:
        return
    least, most = max(0.0, accuracy.value - accuracy.half), min(1.0, accuracy.value + accuracy.half)
    low, high = 2 * least**2 / (1 + least), 2 * most / (1 + most)
    if not low - macro.half <= macro.value <= high + macro.half:
        yield AuditFinding(
            "AU03",
            table.title,
            row.label,
            f"macro F1 {macro.text} is outside [{low:.4f}, {high:.4f}] for accuracy "
            f"{accuracy.text} over classes of equal size",
        )


def _identical(table: PublishedTable) -> Iterator[AuditFinding]:
    for one, other in itertools.combinations(table.rows, 2):
        figures = {m: p.text for m, p in one.cells.items()}
        if len(figures) > 1 and figures == {m: p.text for m, p in other.cells.items()}:
            listed = ", ".join(f"{m} {text}" for m, text in figures.items())
            yield AuditFinding(
                "AU04", table.title, f"{one.label} and {other.label}", f"both have {listed}"
            )


def _two_values(
    tables: Sequence[PublishedTable], same: Mapping[str, str]
) -> Iterator[AuditFinding]:
    names = {_key(a): _key(b) for a, b in same.items()}
    rows: dict[tuple[str, str], list[tuple[PublishedTable, PublishedRow]]] = {}
    for table in tables:
        for row in table.rows:
            key = names.get(_key(row.label), _key(row.label))
            rows.setdefault((table.part, key), []).append((table, row))
    for group in rows.values():
        for (table, one), (_, other) in itertools.combinations(group, 2):
            for metric in (m for m in METRICS if m in one.cells and m in other.cells):
                a, b = one.cells[metric], other.cells[metric]
                if abs(a.value - b.value) > a.half + b.half + 1e-12:
                    yield AuditFinding(
                        "AU05",
                        table.title,
                        f"{one.label} and {other.label}",
                        f"{metric} is {a.text} in one table and {b.text} in another",
                    )


def _above_training(tables: Sequence[PublishedTable], images: int) -> Iterator[AuditFinding]:
    trained = {
        _key(row.label): row.cells["accuracy"]
        for table in tables
        if table.part == "train"
        for row in table.rows
        if "accuracy" in row.cells
    }
    for table in tables:
        for row in table.rows if table.part == "validation" else ():
            own, training = row.cells.get("accuracy"), trained.get(_key(row.label))
            if own is None or training is None:
                continue
            error = Z * math.sqrt(max(own.value * (1 - own.value), 0.0) / images)
            gap = own.value - training.value
            if gap > error + own.half + training.half:
                yield AuditFinding(
                    "AU06",
                    table.title,
                    row.label,
                    f"validation {own.text} − training {training.text} = {gap:+.4f}, sampling "
                    f"error ± {error:.4f}",
                )


def _undecided(table: PublishedTable, images: int) -> Iterator[AuditFinding]:
    rows = [(row.label, row.cells["accuracy"]) for row in table.rows if "accuracy" in row.cells]
    for (one, a), (other, b) in itertools.combinations(rows, 2):
        middle = min(max((a.value + b.value) / 2, 0.0), 1.0)
        error = Z * math.sqrt(2 * middle * (1 - middle) / images)
        if abs(a.value - b.value) <= error:
            yield AuditFinding(
                "AU07",
                table.title,
                f"{one} and {other}",
                f"|{a.text} − {b.text}| = {abs(a.value - b.value):.4f} ≤ {error:.4f} = "
                f"1.96·√(2a(1 − a)/{images})",
            )


def _one_run(tables: Sequence[PublishedTable]) -> Iterator[AuditFinding]:
    bare = [table for table in tables if not table.has_spread]
    if bare:
        rows = sum(len(table.rows) for table in bare)
        yield AuditFinding(
            "AU08",
            "all" if len(bare) == len(tables) else bare[0].title,
            f"{rows} rows",
            "no spread and no number of runs is given: another seed may turn every order round",
        )


def _key(label: str) -> str:
    return " ".join(label.lower().replace(",", " ").replace("=", " ").split())
