"""Folders, tables and zips: the same rule for the class, and one sentence for what cannot be."""

from __future__ import annotations

import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from normlab.data.dataset import load_data
from normlab.data.layout import Item
from normlab.data.sources import open_source
from normlab.data.sources.base import FILE_LIMIT
from normlab.errors import DataError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def items(location: Path) -> list[Item]:
    return list(open_source(str(location)).items())


def test_a_folder_of_classes(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.jpg", "b/1.JPG", "a/x/deep.png", "notes.txt", ".git/z.png", "b/.h.png")
    touch(tmp_path, "__MACOSX/a/1.png", "b/Thumbs.db")
    assert items(tmp_path) == [
        Item("a/x/deep.png", "a"),
        Item("b/1.JPG", "b"),
        Item("b/2.jpg", "b"),
    ]
    assert open_source(str(tmp_path)).read("b/1.JPG") == b"b/1.JPG"


def test_a_folder_beside_the_parts_is_no_class(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.png", "val/a/2.png", "docs/logo.png")
    with pytest.raises(DataError, match="has images in docs beside train and val"):
        items(tmp_path)


def test_the_order_of_the_listing_has_no_part(tmp_path: Path, monkeypatch) -> None:
    """Peers: "class order from unsorted `listdir`": shuffled listing gives the same labels."""
    touch(tmp_path, *(f"{label}/{n}.png" for label in "cab" for n in range(5)))
    expected = items(tmp_path)
    walk = os.walk

    def shuffled(*arguments, **options):
        for folder, folders, files in walk(*arguments, **options):
            folders.reverse()
            yield folder, folders, files[::-1]

    monkeypatch.setattr(os, "walk", shuffled)
    assert items(tmp_path) == expected


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    assert len(items(tmp_path)) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_a_table(tmp_path: Path, separator: str, encoding: str) -> None:
    rows = [("File", "Label", "Split"), ("ä b/1.png", "7", "train"), ("2.png", "8", "test")]
    table = tmp_path / ("t.tsv" if separator == "\t" else "t.csv")
    table.write_text("\n".join(separator.join(row) for row in rows), encoding=encoding)
    touch(tmp_path, "2.png", "ä b/1.png")
    assert items(table) == [Item("2.png", "8", "test"), Item("ä b/1.png", "7", "train")]
    assert open_source(str(table)).read("ä b/1.png") == "ä b/1.png".encode()


def pack(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_zip_of_folders_with_a_table_that_is_no_list_of_labels(tmp_path: Path) -> None:
    members = {"birds/train/a/1.jpg": b"1", "birds/val/a/2.jpg": b"2"}
    path = pack(tmp_path / "z.zip", {**members, "birds/manifest.csv": b"file,source_group\n"})
    source = open_source(str(path))
    assert [item.part for item in source.items()] == ["train", "val"]
    assert source.read("birds/val/a/2.jpg") == b"2"


def test_a_zip_of_a_table(tmp_path: Path) -> None:
    members = {"d/t.csv": b"path,label\nx/1.jpg,a\nx/2.jpg,b\n", "d/x/1.jpg": b"1"}
    source = open_source(str(pack(tmp_path / "z.zip", members)))
    assert list(source.items()) == [Item("d/x/1.jpg", "a"), Item("d/x/2.jpg", "b")]
    assert source.read("d/x/1.jpg") == b"1"
    with pytest.raises(OSError, match="cannot be read from the zip"):
        source.read("d/x/2.jpg")


@pytest.mark.parametrize("name", ["../a/1.png", "/a/1.png", "a/../../b/1.png"])
def test_a_zip_that_leaves_itself(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="outside of it"):
        open_source(str(pack(tmp_path / "z.zip", {name: b"", "a/1.png": b""})))


def test_what_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("nothing")
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 half")
    (tmp_path / "empty").mkdir()
    touch(tmp_path / "loose", "1.png", "2.png")
    cases = {
        "missing": "there is no .*missing; give a folder",
        "text": "is neither a folder",
        "broken.zip": "is not a readable zip",
        "empty": "holds no images; give a folder with one folder per class",
        "loose": "are not in folders",
    }
    for name, sentence in cases.items():
        with pytest.raises(DataError, match=sentence):
            open_source(str(tmp_path / name))


def test_the_signature_notices_a_change_without_reading(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/1.png")
    before = open_source(str(tmp_path)).signature
    assert open_source(str(tmp_path)).signature == before
    os.utime(tmp_path / "a/1.png", ns=(1, 1))
    assert open_source(str(tmp_path)).signature != before


def test_the_digits() -> None:
    import io

    from sklearn.datasets import load_digits

    source = open_source("demo:digits")
    assert len(source.items()) == 1797
    assert len({item.label for item in source.items()}) == 10
    picture = np.asarray(Image.open(io.BytesIO(source.read("0003.png"))))
    np.testing.assert_array_equal(picture, np.round(load_digits().images[3] * 255 / 16))


def test_names_in_other_scripts(tmp_path: Path) -> None:
    names = ["Ærfugl/søt.jpg", "мухоловка/1.jpg", "アオサギ/一.jpg", "एक पक्षी/1.jpg"]
    touch(tmp_path, *names)
    packed = pack(tmp_path / "z.zip", {name: name.encode() for name in names})
    for location in (tmp_path, packed):
        assert [item.name for item in items(location)] == sorted(names)
        assert {item.label for item in items(location)} == {name.split("/")[0] for name in names}
        assert open_source(str(location)).read(names[1]) == names[1].encode()


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "b" / os.fsdecode(b"\xe4.png")).write_bytes(b"")
    with pytest.raises(DataError, match=r"the name 'b/.udce4.png' is not UTF-8; rename the file"):
        items(tmp_path)


def test_a_link_to_nowhere_is_listed_and_cannot_be_read(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a" / "2.png").symlink_to(tmp_path / "gone.png")
    source = open_source(str(tmp_path))
    assert source.signature
    assert [item.name for item in source.items()] == ["a/1.png", "a/2.png", "b/1.png"]
    with pytest.raises(FileNotFoundError):
        source.read("a/2.png")


def test_which_of_two_links_is_followed_is_not_left_to_the_listing(
    tmp_path: Path, monkeypatch
) -> None:
    touch(tmp_path, "a/x/1.png", "b/1.png")
    (tmp_path / "a" / "y").symlink_to("x", target_is_directory=True)
    expected = items(tmp_path)
    assert [item.name for item in expected] == ["a/x/1.png", "b/1.png"]
    scandir = os.scandir

    class Backwards:
        """A listing of a folder from its end."""

        def __init__(self, path: str) -> None:
            with scandir(path) as listing:
                self.entries = iter(sorted(listing, key=lambda entry: entry.name, reverse=True))

        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def __iter__(self):
            return self

        def __next__(self):
            return next(self.entries)

        def close(self) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Backwards)
    assert items(tmp_path) == expected


def test_two_classes_that_are_one_folder(tmp_path: Path) -> None:
    """The second was left out in silence; inside another class it took the images of a class."""
    touch(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "c").symlink_to("b", target_is_directory=True)
    with pytest.raises(DataError, match=r"b and c in .* are one folder, by a link; remove one"):
        items(tmp_path)
    (tmp_path / "c").unlink()
    (tmp_path / "a" / "more").symlink_to("../b", target_is_directory=True)
    with pytest.raises(DataError, match=r"a/more and b in .* are one folder, by a link"):
        items(tmp_path)


def test_two_parts_that_are_one_folder(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.png", "train/b/1.png")
    (tmp_path / "val").symlink_to("train", target_is_directory=True)
    with pytest.raises(DataError, match=r"train and val in .* are one folder, by a link"):
        items(tmp_path)


def test_a_link_beside_the_folder_that_holds_the_classes(tmp_path: Path) -> None:
    touch(tmp_path, "set/a/1.png", "set/b/1.png")
    (tmp_path / "zz-latest").symlink_to("set", target_is_directory=True)
    assert [item.name for item in items(tmp_path)] == ["set/a/1.png", "set/b/1.png"]


def damaged(path: Path, member: str) -> Path:
    """The zip with the compressed bytes of one member inverted."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(member)
    content = bytearray(path.read_bytes())
    first = info.header_offset + 30 + len(member)
    for place in range(first, first + info.compress_size):
        content[place] ^= 0xFF
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_member_is_unreadable_and_the_others_are_not(tmp_path: Path, method: int) -> None:
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a/1.png", b"one" * 99)
        archive.writestr("b/1.png", b"two" * 99)
    source = open_source(str(damaged(path, "a/1.png")))
    assert source.read("b/1.png") == b"two" * 99
    with pytest.raises(OSError, match="cannot be read from the zip"):
        source.read("a/1.png")


def test_a_damaged_table_in_a_zip(tmp_path: Path) -> None:
    path = pack(tmp_path / "z.zip", {"a/1.png": b"", "b/1.png": b"", "t.csv": b"path,label\n"})
    with pytest.raises(DataError, match=r"t\.csv cannot be read from the zip: .*; pack it again"):
        open_source(str(damaged(path, "t.csv")))


def test_what_a_mac_adds_to_a_zip_is_no_table(tmp_path: Path) -> None:
    members = {"a/1.png": b"", "b/1.png": b"", "t.csv": b"file,size\n"}
    hidden = {"__MACOSX/._t.csv": b"\0\5\x16\7\rpath,label\r", ".old.csv": b"path,label\n1.png,x\n"}
    path = pack(tmp_path / "z.zip", {**members, **hidden, "__MACOSX/a/._1.png": b""})
    assert [item.name for item in items(path)] == ["a/1.png", "b/1.png"]


def test_a_zip_without_its_list_of_members(tmp_path: Path) -> None:
    path = pack(tmp_path / "z.zip", {"a/1.png": b"1", "b/1.png": b"2"})
    path.write_bytes(path.read_bytes().replace(b"PK\x01\x02", b"PK\xff\xff"))
    with pytest.raises(DataError, match=r"z\.zip is not a readable zip .*; pack it again"):
        open_source(str(path))


def test_equal_names_sizes_and_times_are_not_equal_files(tmp_path: Path) -> None:
    """Tools that build reproducibly give every file the same time."""
    for folder in ("one", "two"):
        for label in "ab":
            touch(tmp_path / folder, f"{label}/1.png")
            os.utime(tmp_path / folder / label / "1.png", ns=(10**18, 10**18))
    one, two = (open_source(str(tmp_path / folder)) for folder in ("one", "two"))
    assert one.items() == two.items()
    assert one.signature != two.signature


def test_a_named_pipe_is_no_image(photos: Path) -> None:
    """Reading it would wait for ever for somebody to write."""
    os.mkfifo(photos / "cats" / "pipe.png")
    ((name, reason),) = load_data(str(photos), 8).manifest.unreadable
    assert (name, reason) == ("cats/pipe.png", "is not a regular file")


def test_a_folder_that_a_table_calls_an_image(photos: Path) -> None:
    (photos / "x.jpg").mkdir()
    names = [path.relative_to(photos).as_posix() for path in photos.rglob("*.png")]
    rows = [f"{name},{len(name.split('/')[0])}{n % 2}" for n, name in enumerate(sorted(names))]
    (photos / "t.csv").write_text("\n".join(["path,label", *rows, "x.jpg,40"]))
    manifest = load_data(str(photos / "t.csv"), 8).manifest
    assert manifest.unreadable == (("x.jpg", "is not a regular file"),)
    assert manifest.classes == ("40", "41")  # a label may be a number


def test_long_names(tmp_path: Path, picture) -> None:
    for number in range(6):
        picture(tmp_path / ("é" * 100 + str(number % 2)) / f"{'n' * 245}{number}.png", number)
    assert len(load_data(str(tmp_path), 8).manifest) == 6


def test_a_file_that_is_too_large_to_be_an_image(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/1.png")
    with (tmp_path / "a" / "2.png").open("wb") as file:
        file.truncate(FILE_LIMIT + 1)  # sparse: it takes no room on the disk
    with pytest.raises(OSError, match="is no image: 512 MiB"):
        open_source(str(tmp_path)).read("a/2.png")


def test_a_folder_that_cannot_be_listed_is_not_left_out_in_silence(
    tmp_path: Path, monkeypatch
) -> None:
    touch(tmp_path, "a/1.png", "b/1.png", "c/1.png")
    scandir = os.scandir

    def forbidden(path: str) -> object:
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidden)
    with pytest.raises(DataError, match="b cannot be listed: Permission denied; check its perm"):
        items(tmp_path)


def test_a_table_that_cannot_be_read(tmp_path: Path, monkeypatch) -> None:
    def forbidden(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "t.csv").write_text("path,label\n")
    monkeypatch.setattr(Path, "read_bytes", forbidden)
    with pytest.raises(
        DataError, match=r"t\.csv cannot be read: Permission denied; check its perm"
    ):
        items(tmp_path / "t.csv")


def test_a_table_in_a_zip_that_is_not_utf8(tmp_path: Path) -> None:
    table = "path,label\nä.png,x\n".encode("latin-1")
    with pytest.raises(
        DataError, match=r"z\.zip/t\.csv is not UTF-8 text; save the table as UTF-8"
    ):
        items(pack(tmp_path / "z.zip", {"t.csv": table}))


def test_the_threads_of_a_zip_do_not_mix_its_members(tmp_path: Path) -> None:
    members = {f"{n % 2}/{n}.png": bytes([n]) * (20_000 + n) for n in range(200)}
    source = open_source(str(pack(tmp_path / "z.zip", members)))
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(source.read, list(members) * 3)) == list(members.values()) * 3


def test_demonstration_data_that_do_not_exist() -> None:
    with pytest.raises(DataError, match=r"no demo:digit; .* come with normlab are demo:digits"):
        open_source("demo:digit")
