"""The class and the part of an image, from the folders in its name."""

from __future__ import annotations

import pytest

from normlab.data.layout import LOOSE, Item, is_hidden, items_by_layout
from normlab.errors import DataError


def items(*names: str) -> list[Item]:
    return list(items_by_layout(names, "photos").items)


@pytest.mark.parametrize("wrapped", ["", "birds/", "data/birds/"])
@pytest.mark.parametrize("val", ["val", "valid", "Validation"])
def test_parts_and_wrapping_folders(wrapped: str, val: str) -> None:
    names = [f"{wrapped}train/a/1.png", f"{wrapped}{val}/b/1.png", f"{wrapped}test/a/2.png"]
    expected = [Item(names[0], "a", "train"), Item(names[1], "b", "val")]
    assert items(*names) == sorted([*expected, Item(names[2], "a", "test")])


@pytest.mark.parametrize("wrapped", ["", "birds/", "data/birds/"])
def test_classes_and_wrapping_folders(wrapped: str) -> None:
    names = [f"{wrapped}a/1.png", f"{wrapped}a/deep/2.png", f"{wrapped}b/1.png"]
    assert [item.label for item in items(*names)] == ["a", "a", "b"]


def test_a_class_that_is_named_like_a_part() -> None:
    assert [item.label for item in items("test/x/1.png", "exam/x/1.png")] == ["exam", "test"]


def test_two_classes_that_are_named_like_parts() -> None:
    expected = [Item("test/1.png", "test"), Item("train/1.png", "train")]
    assert items("train/1.png", "test/1.png") == expected


def test_images_outside_the_class_folders_have_no_class() -> None:
    assert [i.name for i in items("cover.png", "a/1.png", "b/1.png")] == ["a/1.png", "b/1.png"]


def test_a_stray_image_beside_the_classes_of_a_part() -> None:
    """It has no class, and above all it does not turn train and val into two classes."""
    names = [f"{part}/{label}/1.png" for part in ("train", "val") for label in "ab"]
    got = items(*names, "train/x.png")
    assert got == [Item(name, name.split("/")[1], name.split("/")[0]) for name in names]


def test_images_without_a_class_are_named() -> None:
    names = ["a/1.png", "b/1.png"]
    assert items_by_layout([*names, "x.png", "c.jpg", "notes.txt"], "p").skipped == (
        ("c.jpg", LOOSE),
        ("x.png", LOOSE),
    )
    parts = [f"{part}/{name}" for part in ("train", "val") for name in names]
    assert items_by_layout([*parts, "val/x.png", "y.png"], "p").skipped == (
        ("val/x.png", LOOSE),
        ("y.png", LOOSE),
    )
    assert items_by_layout(names, "p").skipped == ()


def test_the_order_is_that_of_the_names() -> None:
    """ "-" is less than "/": by folders, cat/ would come before cat-big/."""
    names = ["cat-big/1.png", "cat/1.png", "cat/10.png", "cat/2.png"]
    assert [item.name for item in items(*reversed(names))] == sorted(names) == names


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ([], "photos holds no images; give a folder with one folder per class"),
        (["a/readme.txt", "b/.hidden.png"], "photos holds no images"),
        (["1.png", "2.png"], "the images in photos are not in folders; make one folder per class"),
    ],
)
def test_names_that_show_no_class(names: list[str], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        items(*names)


@pytest.mark.parametrize(
    ("tops", "sentence"),
    [
        (("train", "val", "docs"), "images in docs beside train and val, which is neither"),
        (("train", "test", "pred"), "images in pred beside train and test, which is neither"),
        (("training_set", "test_set"), "training_set in photos look like parts"),
        (("train", "dev"), "the folders dev, train in photos look like parts and not like classes"),
    ],
)
def test_parts_that_would_be_taken_for_classes(tops: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        items(*(f"{top}/{label}/1.png" for top in tops for label in ("cat", "dog")))


def test_parts_below_the_classes() -> None:
    names = [f"{label}/{part}/1.png" for label in ("cat", "dog") for part in ("train", "test")]
    with pytest.raises(DataError, match="put the part first, as in train/<class>/image"):
        items(*names)
    assert [item.label for item in items("cat/train/1.png", "dog/1.png")] == ["cat", "dog"]
    assert [item.label for item in items("train/a/1.png", "tram/b/1.png")] == ["train", "tram"]


def test_what_a_system_hides() -> None:
    for name in (".git/a.png", "a/.b.png", "__MACOSX/a/b.png"):
        assert is_hidden(name)
    assert not is_hidden("a.b/c.d.png")
