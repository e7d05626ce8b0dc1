"""Classes that are in some parts alone are named when the data are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from normlab.data.dataset import load_data
from normlab.data.layout import Item
from normlab.data.scan import check_parts
from normlab.errors import DataError


@pytest.mark.parametrize(
    ("items", "sentence"),
    [
        ("train/a val/a val/c", "class 'c' is in val alone; train has none of it: add images"),
        ("train/a val/a train/c", "class 'c' is in train alone; val has none of it"),
        (
            "train/a val/a test/a test/c",
            "class 'c' is in test alone; train and val have none of it",
        ),
        (
            "train/a val/a test/a test/c val/d",
            r"class 'c' is in test alone; .* \(so it is with 1 more\)",
        ),
    ],
)
def test_a_class_in_one_part(items: str, sentence: str) -> None:
    made = [Item(f"{name}/1.png", name[-1], name.split("/")[0]) for name in items.split()]
    with pytest.raises(DataError, match=sentence):
        check_parts(made, "photos")


@pytest.mark.parametrize("items", ["/a /b", "train/a train/b", "train/a test/a", "val/a test/b"])
def test_nothing_to_say(items: str) -> None:
    """What lacks a part altogether is refused by the split, which says which parts it needs."""
    check_parts([Item(name, name[-1], name.split("/")[0]) for name in items.split()], "photos")


def test_it_is_said_before_anything_is_read(tmp_path: Path, picture, monkeypatch) -> None:
    for name in ("train/a", "train/b", "val/a", "val/b", "val/c"):
        for number in range(3):
            picture(tmp_path / name / f"{number}.png", number)
    assert len(load_data(str(tmp_path), 8).manifest) == 15  # to be looked at, as `check` does
    monkeypatch.setattr("normlab.data.dataset.hash_items", None)
    with pytest.raises(DataError, match="class 'c' is in val alone; train has none of it"):
        load_data(str(tmp_path), 8, for_training=True)
