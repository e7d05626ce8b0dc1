"""Which columns of a table hold path, class, part and group, by their usual names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from normlab.data.layout import part_of
from normlab.data.tables.rows import Table
from normlab.errors import DataError

PATH_COLUMNS = ("path", "file", "filename", "file_name", "image")
LABEL_COLUMNS = ("label", "class", "class_name", "target", "category", "species")
PART_COLUMNS = ("part", "split", "set")
GROUP_COLUMNS = ("group", "source_group")
MORE_PATH_COLUMNS = (
    *("filepath", "file_path", "image_path", "img_path", "image_name", "imagename", "image_file"),
    *("img", "image_id", "img_id", "id_code", "isic_id", "id"),
)
MORE_LABEL_COLUMNS = ("labels", "class_label", "classname", "breed", "dx", "diagnosis", "variety")
MORE_PART_COLUMNS = ("fold", "subset", "usage", "partition", "data_set", "dataset", "phase")
"""These count where all their values are parts: a fold may also be a number."""
ONE_HOT = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}


@dataclass(frozen=True)
class Columns:
    """The places of the columns in a row; None where there is none."""

    path: int
    label: int | None
    part: int | None
    group: int | None
    one_hot: tuple[int, ...] = ()
    """The columns that each stand for a class, where there is no column of labels."""


def plain_columns(header: Sequence[str]) -> bool:
    """Whether a header names a path and a label by the plainest names."""
    places = _places(header)
    return any(name in places for name in PATH_COLUMNS) and any(
        name in places for name in LABEL_COLUMNS
    )


def find_columns(table: Table, location: str, *, labelled: bool = True) -> Columns:
    """The columns by their usual names; one-hot columns where there is none of labels.

    Raises:
        DataError: there is no path column, or no label column where the images must be `labelled`.
    """
    plain, loose = _places(table.columns), _loose_places(table.columns)
    path = _first((plain, PATH_COLUMNS), (loose, (*PATH_COLUMNS, *MORE_PATH_COLUMNS)))
    label = _first((plain, LABEL_COLUMNS), (loose, (*LABEL_COLUMNS, *MORE_LABEL_COLUMNS)))
    part = _first((plain, PART_COLUMNS))
    if part is None and path is not None:
        part = _part_column(table, [loose[name] for name in MORE_PART_COLUMNS if name in loose])
    group = _first((plain, GROUP_COLUMNS))
    if path is not None and label is not None:
        return Columns(path, label, part, group)
    if path is not None:
        rest = [place for place in range(len(table.columns)) if place not in (path, part, group)]
        one_hot = _one_hot_columns(table, rest)
        if len(one_hot) > 1:
            return Columns(path, None, part, group, one_hot)
        if not labelled:
            return Columns(path, None, part, group)
    if not labelled:
        raise DataError(
            f"{location} needs a path column ({', '.join(PATH_COLUMNS)}); name it in its first line"
        )
    raise DataError(
        f"{location} needs a path column ({', '.join(PATH_COLUMNS)}) and a label column "
        f"({', '.join(LABEL_COLUMNS)}); name them in its first line"
    )


def _places(header: Iterable[str]) -> dict[str, int]:
    return {name.strip().lower(): place for place, name in enumerate(header)}


def _loose_places(header: Iterable[str]) -> dict[str, int]:
    """The same, with _ for the spaces and dashes in a name."""
    return {re.sub(r"[\s\-]+", "_", name): place for name, place in _places(header).items()}


def _first(*choices: tuple[dict[str, int], Iterable[str]]) -> int | None:
    """The place of the first of these names that is there; the plain names come first."""
    found = (places[name] for places, names in choices for name in names if name in places)
    return next(found, None)


def _part_column(table: Table, candidates: Sequence[int]) -> int | None:
    """The first of these columns all of whose values are parts."""
    for place in candidates:
        values = {row[place].strip() for _, row in table.rows() if place < len(row)}
        if values and all(part_of(value) for value in values):
            return place
    return None


def _one_hot_columns(table: Table, candidates: Sequence[int]) -> tuple[int, ...]:
    """The columns that hold nothing but 0 and 1."""
    left = set(candidates)
    for _, row in table.rows():
        left = {p for p in left if p < len(row) and row[p].strip().lower() in ONE_HOT}
    return tuple(sorted(left))
