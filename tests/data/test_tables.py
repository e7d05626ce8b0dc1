"""Tables as people make them: any usual column, separator, line end; one sentence for the rest."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from normlab.data.layout import Item
from normlab.data.tables import items_of_table, lists_images
from normlab.errors import DataError


def items(text: str) -> list[Item]:
    return items_of_table(text.encode(), "t.csv")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path,name\na.png,x\n", "t.csv needs a path column .* name them in its first line"),
        ("path,label\na.png,\n", "t.csv line 2 lacks a path or a label; complete it"),
        ("path,label\na.png,x\na.png,y\n", "t.csv gives a.png two labels or parts; keep one"),
        ("path,label,part\na,x,val\na,x,test\n", "t.csv gives a two labels or parts; keep one"),
        ("path,label,split\na.png,x,dev\n", "t.csv line 2: unknown part 'dev'; train, val or test"),
        ("path,label\n", "t.csv lists no images; add a line for each"),
        ("", "needs a path column"),
        ('path,label\n"a.png,x\n' + "b.png,y\n" * 20_000, "is a quotation mark left open"),
    ],
    ids=["columns", "value", "labels", "parts", "part", "no line", "empty", "quotation mark"],
)
def test_tables_that_cannot_be(text: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        items(text)


def test_a_table_that_is_not_utf8() -> None:
    with pytest.raises(DataError, match=r"t\.csv is not UTF-8 text; save the table as UTF-8"):
        items_of_table("path,label\nä.png,x\n".encode("latin-1"), "t.csv")


def test_the_line_in_a_sentence_is_the_line_of_the_file() -> None:
    with pytest.raises(DataError, match="line 5 lacks a path or a label"):
        items("path,label\n\na.png,x\n\nb.png,\n")


@pytest.mark.parametrize("path_column", ["path", "FILE", "filename", " image "])
@pytest.mark.parametrize("label_column", ["label", "Class", "species"])
def test_columns_by_any_usual_name(path_column: str, label_column: str) -> None:
    text = f"id,{label_column},{path_column}\n1, x ,a b.png\n\n2,y,c.png\n"
    assert items(text) == [Item("a b.png", "x"), Item("c.png", "y")]


def test_a_line_that_is_repeated_counts_once() -> None:
    text = "path,label\nb.png,1\na.png,0\nb.png,1\n"
    assert items(text) == [Item("a.png", "0"), Item("b.png", "1")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_as_on_any_system(end: str) -> None:
    text = end.join(["path,label", "a.png,x", "b.png,y", ""])
    assert items(text) == [Item("a.png", "x"), Item("b.png", "y")]


def test_two_labels_for_one_file_however_it_is_written() -> None:
    with pytest.raises(DataError, match=r"gives x/a\.png two labels or parts; keep one line"):
        items("path,label\n./x/a.png,1\nx//a.png,2\n")
    assert items("path,label\n./a.png,1\na.png,1\n") == [Item("a.png", "1")]


def test_names_are_put_below_a_folder() -> None:
    got = items_of_table(b"path,label\n./x/1.png,a\n", "t.csv", PurePosixPath("deep/er"))
    assert got == [Item("deep/er/x/1.png", "a")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"path,label\n", True),
        (b"\xef\xbb\xbfFile;Split;Class\n", True),
        (b"file,source_group,black_corners\n", False),
        (b"\x00\x05\x16\x07\r", False),
        (b"", False),
    ],
)
def test_which_tables_list_images(content: bytes, expected: bool) -> None:
    assert lists_images(content) is expected
