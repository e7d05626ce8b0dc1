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


def test_images_directly_in_the_folders_of_parts() -> None:
    """Nobody has the classes "test" and "train": the images lie in no folders of classes."""
    with pytest.raises(DataError, match="images in test, train in photos lie in no folders of cl"):
        items("train/1.png", "test/1.png")
    with pytest.raises(DataError, match=r"give a table .* \(perhaps photos/train.csv\)"):
        items("train/1.png", "test/1.png", "sample.csv", "train.csv")
    with pytest.raises(DataError, match=r"the images in test in photos lie in no folders"):
        items("train/a/1.png", "train/b/1.png", "test/1.png")
    labels = {item.label for item in items("train/1.png", "bus/1.png")}
    assert labels == {"train", "bus"}  # a class like any other


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
        (("test_a", "testing_b"), "test_a, testing_b in photos look like parts and not like cla"),
        (("train1", "train2"), "train1, train2 in photos look like parts and not like classes"),
        (("seg_train", "seg_test", "docs"), "in docs beside seg_train and seg_test, which is nei"),
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


@pytest.mark.parametrize(
    ("train", "test"),
    [
        *(("seg_train", "seg_test"), ("Training", "Testing"), ("train_images", "test_images")),
        *(("TRAIN-set", "TEST-set"), ("trainset", "testset"), ("birds-train", "birds-test")),
        *(("TrainData", "HoldOut"), ("train", "evaluation"), ("training_set", "test_set")),
    ],
)
@pytest.mark.parametrize("doubled", [False, True])
def test_parts_in_any_spelling(train: str, test: str, doubled: bool) -> None:
    """They were refused, and where the classes lay in a doubled folder taken for classes."""
    tops = {part: f"{part}/{part}" if doubled else part for part in (train, test)}
    got = items(*(f"{top}/{label}/1.png" for top in tops.values() for label in ("sea", "street")))
    assert {(item.label, item.part) for item in got} == {
        (label, part) for label in ("sea", "street") for part in ("train", "test")
    }


def test_unlabelled_images_of_a_competition_are_skipped() -> None:
    """The layout of a much used set: its third folder has no classes."""
    names = [f"seg_{p}/seg_{p}/{c}/1.png" for p in ("train", "test") for c in ("sea", "street")]
    found = items_by_layout([*names, "seg_pred/seg_pred/9.png"], "photos")
    assert {item.label for item in found.items} == {"sea", "street"}
    assert found.skipped == (("seg_pred/seg_pred/9.png", LOOSE),)


def test_versions_of_one_set_are_no_classes() -> None:
    tops, classes = ("color", "grayscale", "segmented"), ("apple", "corn")
    with pytest.raises(
        DataError, match=r"color, grayscale, segmented in photos all hold the same "
    ):
        items(*(f"{top}/{label}/{n}.png" for top in tops for label in classes for n in range(2)))
    with pytest.raises(DataError, match=r"give one of them: photos/wrapped/color "):
        items(*(f"wrapped/{top}/{label}/1.png" for top in tops for label in classes))
    parts = [f"{top}/{part}/{c}/1.png" for top in tops for part in ("train", "val") for c in "ab"]
    with pytest.raises(DataError, match=r"all hold the same folders \(a, b\)"):
        items(*parts)
    assert len(items("cat/indoor/1.png", "dog/outdoor/1.png", "dog/street/1.png")) == 3


@pytest.mark.parametrize(
    "names",
    [
        ("Dataset/cat/1.png", "Dataset/dog/1.png", "docs/figure.png"),
        ("Birds/train/a/1.png", "Birds/val/a/1.png", "docs/figure.png"),
        ("Birds/a/1.png", "Birds/b/1.png", "cover.png"),
    ],
)
def test_a_folder_above_the_real_one(names: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match=r"did you mean photos/(Dataset|Birds)\?"):
        items(*names)


def test_boxes_of_a_detector() -> None:
    names = [
        f"{kind}/{part}/1.{end}"
        for kind, end in (("images", "png"), ("labels", "txt"))
        for part in ("train", "val")
    ]
    with pytest.raises(
        DataError, match=r"boxes of a detector .* put the images into train/<class>/"
    ):
        items(*names)


def test_which_folders_systems_add() -> None:
    for folder in (
        *("@eaDir", "#recycle", "__MACOSX", ".Trashes", "$RECYCLE.BIN", ".ipynb_checkpoints"),
        *("System Volume Information", "lost+found", ".DS_Store", "@tmp", ".@__thumb"),
    ):
        assert [
            item.name
            for item in items(f"{folder}/x/1.jpg", f"a/{folder}/1.jpg", "a/1.jpg", "b/1.jpg")
        ] == ["a/1.jpg", "b/1.jpg"]
