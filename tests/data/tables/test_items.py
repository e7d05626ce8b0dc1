"""Tables as people make them: any usual column, separator, line end; one sentence for the rest."""

from __future__ import annotations

import io
import json
import sys
from pathlib import PurePosixPath

import pytest

from normlab.data.layout import Item
from normlab.data.tables import Files, items_of_table, lists_images
from normlab.errors import DataError, MissingExtraError


def items(text: str) -> list[Item]:
    return items_of_table(text.encode(), "t.csv")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path,name\na.png,x\n", "t.csv needs a path column .* name them in its first line"),
        ("path,label\na.png,\n", "t.csv line 2 lacks a path or a label; complete it"),
        ("path,label\na.png,x\na.png,y\n", "t.csv gives a.png two labels or parts; keep one"),
        ("path,label,part\na,x,val\na,x,test\n", "t.csv gives a two labels or parts; keep one"),
        (
            "path,label,split\na.png,x,pred\n",
            "t.csv line 2: unknown part 'pred'; train, val or test",
        ),
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


def test_the_plain_name_of_a_column_goes_before_one_that_is_only_like_it() -> None:
    """Tables that were read before are read by the same columns."""
    assert items("File Name,image,Class-Name,target\nx,a.png,y,1\n") == [Item("a.png", "1")]
    assert items("File Name,Class-Name\na.png,1\n") == [Item("a.png", "1")]


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


@pytest.mark.parametrize("first", ["sep=;\n", "\ufeffsep=;\r\n", ""])
def test_the_line_that_excel_writes_first(first: str) -> None:
    assert items(f"{first}filename;label\na.png;x\nb, c.png;y\n") == [
        Item("a.png", "x"),
        Item("b, c.png", "y"),
    ]
    with pytest.raises(DataError, match=f"line {3 if first else 2} lacks a path or a label"):
        items(f"{first}filename;label\na.png;\n")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_table_in_utf_16(encoding: str) -> None:
    text = "path,label\nä.png,x\n"
    if encoding == "utf-16":
        assert items_of_table(text.encode(encoding), "t.csv") == [Item("ä.png", "x")]
    else:
        with pytest.raises(DataError, match="save the table as UTF-8"):
            items_of_table(text.encode(encoding), "t.csv")


def test_paths_of_windows() -> None:
    assert items("path,label\ncat\\0.png,cat\n.\\dog\\1.png,dog\n") == [
        Item("cat/0.png", "cat"),
        Item("dog/1.png", "dog"),
    ]
    literal = Files({"cat\\0.png"}.__contains__, list)
    got = items_of_table(b"path,label\ncat\\0.png,cat\n", "t.csv", files=literal)
    assert got == [Item("cat\\0.png", "cat")]  # a file of this name on another system


def files(*names: str) -> Files:
    return Files(set(names).__contains__, lambda: names)


def test_paths_of_another_machine() -> None:
    table = b"path,label\nC:\\Users\\me\\set\\cat\\0.png,cat\nC:\\Users\\me\\set\\dog\\0.png,dog\n"
    got = items_of_table(table, "t.csv", files=files("cat/0.png", "dog/0.png"))
    assert got == [Item("cat/0.png", "cat"), Item("dog/0.png", "dog")]
    with pytest.raises(DataError, match=r"paths of another machine \(C:/Users.* no such files lie"):
        items_of_table(table, "t.csv", files=files("x.png"))


def test_names_without_ending_or_folder() -> None:
    there = files("images/ISIC_1.JPG", "images/ISIC_2.png", "t.csv")
    got = items_of_table(b"image,dx\nISIC_1,mel\nISIC_2,nv\n", "t.csv", files=there)
    assert got == [Item("images/ISIC_1.JPG", "mel"), Item("images/ISIC_2.png", "nv")]
    twice = files("a/1.png", "b/1.png")
    with pytest.raises(DataError, match=r"names 1.png, which may be a/1.png or b/1.png; write the"):
        items_of_table(b"path,label\n1.png,x\n", "t.csv", files=twice)
    parts = files("train/1.png", "test/1.png")
    table = b"path,label,split\n1.png,x,train\n1,y,test\n"
    got = items_of_table(table, "t.csv", files=parts)
    assert got == [Item("test/1.png", "y", "test"), Item("train/1.png", "x", "train")]


def test_a_table_of_files_that_are_there_is_taken_at_its_word() -> None:
    """As before: one that is missing is listed, and found out when it is read."""
    there = files("a.png", "deep/b.png")
    got = items_of_table(b"path,label\na.png,x\nb.png,y\n", "t.csv", files=there)
    assert got == [Item("a.png", "x"), Item("b.png", "y")]


def test_one_column_for_each_class() -> None:
    text = "image,MEL,NV,BCC\na.png,1.0,0.0,0.0\nb.png,0,0,1\n"
    assert items(text) == [Item("a.png", "MEL"), Item("b.png", "BCC")]
    with pytest.raises(
        DataError, match=r"line 3 has several classes \(MEL, NV\), and normlab comp"
    ):
        items("image,MEL,NV\na.png,1,0\nb.png,1,1\n")
    with pytest.raises(
        DataError, match=r"line 2 has a 1 in none of its columns of classes \(MEL, N"
    ):
        items("image,MEL,NV\na.png,0,0\n")
    with pytest.raises(DataError, match="needs a path column"):
        items("image,has_cactus\na.png,1\nb.png,0\n")


@pytest.mark.parametrize("label", ["cat|dog", "cat;dog", '"cat, dog"', "\"['cat', 'dog']\""])
def test_images_of_several_classes(label: str) -> None:
    with pytest.raises(DataError, match=r"line 4 gives several classes \(.*\), and normlab comp"):
        items(f"path,label\na.png,cat\nb.png,dog\nc.png,{label}\n")
    assert len(items('path,label\na.png,cat\nb.png,"dog, big"\n')) == 2


@pytest.mark.parametrize("column", ["split", "Set", "fold", "subset", "Usage", "partition"])
def test_a_split_in_its_usual_spellings(column: str) -> None:
    values = {"Train": "train", "VAL": "val", "dev": "val", "holdout": "test", "Testing": "test"}
    rows = "".join(f"{n}.png,x,{value}\n" for n, value in enumerate(values))
    assert [item.part for item in items(f"path,label,{column}\n{rows}")] == list(values.values())


def test_the_parts_of_a_set_of_faces() -> None:
    rows = "1,x,Training\n2,x,PublicTest\n3,x,PrivateTest\n"
    assert [i.part for i in items(f"path,label,Usage\n{rows}")] == ["train", "val", "test"]


def test_a_fold_that_is_a_number_is_no_part() -> None:
    assert items("path,label,fold\na.png,x,0\nb.png,x,1\n") == [
        Item("a.png", "x"),
        Item("b.png", "x"),
    ]


def test_lines_of_json() -> None:
    text = '{"file_name": "a.png", "label": 3}\n\n{"file_name": "b.png", "label": ["dog"]}\n'
    assert items_of_table(text.encode(), "metadata.jsonl") == [
        Item("a.png", "3"),
        Item("b.png", "dog"),
    ]
    with pytest.raises(DataError, match=r"metadata.jsonl line 2 is not JSON"):
        items_of_table(b'{"file_name": "a.png", "label": 3}\n{"file', "metadata.jsonl")
    several = b'{"file_name": "a.png", "label": ["cat", "dog"]}\n'
    with pytest.raises(DataError, match="line 1 gives several classes"):
        items_of_table(several, "metadata.jsonl")


def test_a_coco_file() -> None:
    content = {
        "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
        "categories": [{"id": 7, "name": "cat"}, {"id": 8, "name": "dog"}],
        "annotations": [{"image_id": 1, "category_id": 7}, {"image_id": 2, "category_id": 8}],
    }
    table = json.dumps(content).encode()
    assert items_of_table(table, "x.json") == [Item("a.png", "cat"), Item("b.png", "dog")]
    content["annotations"].append({"image_id": 1, "category_id": 8})
    with pytest.raises(DataError, match=r"a.png has several classes \(cat, dog\), and normlab"):
        items_of_table(json.dumps(content).encode(), "x.json")
    with pytest.raises(DataError, match="is not whole COCO: an entry lacks 'name'"):
        items_of_table(json.dumps({**content, "categories": [{"id": 7}]}).encode(), "x.json")
    with pytest.raises(DataError, match="is neither COCO"):
        items_of_table(b"{}", "x.json")


def test_parquet() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    buffer = io.BytesIO()
    parquet.write_table(pa.table({"file_name": ["a.png", "b.png"], "label": [0, 1]}), buffer)
    got = items_of_table(buffer.getvalue(), "metadata.parquet")
    assert got == [Item("a.png", "0"), Item("b.png", "1")]
    with pytest.raises(DataError, match=r"no readable Parquet"):
        items_of_table(b"PAR1", "metadata.parquet")


def test_parquet_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtraError, match="this needs pyarrow"):
        items_of_table(b"PAR1", "metadata.parquet")
