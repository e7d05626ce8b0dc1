"""Which images there are: by content, wherever they lie and however they are listed."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from normlab.data.dataset import load_data
from normlab.data.scan import UNREADABLE, check_classes, hash_items
from normlab.data.sources import open_source
from normlab.data.sources.files import FileSource
from normlab.errors import DataError


def fingerprint(location: Path) -> str:
    return load_data(str(location), 8).manifest.fingerprint


def counted_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that are read from folders, as they are read."""
    names: list[str] = []
    read = FileSource.read

    def counting(self: FileSource, name: str) -> bytes:
        names.append(name)
        return read(self, name)

    monkeypatch.setattr(FileSource, "read", counting)
    return names


def test_the_hash_is_that_of_the_bytes(photos: Path, cache: Path) -> None:
    source = open_source(str(photos))
    expected = [hashlib.sha256((photos / i.name).read_bytes()).hexdigest() for i in source.items()]
    assert hash_items(source, cache) == expected
    assert load_data(str(photos), 8).manifest.hashes.tolist() == expected


def test_the_fingerprint_does_not_depend_on_place_or_packing(photos: Path, tmp_path: Path) -> None:
    expected = fingerprint(photos)
    moved = shutil.copytree(photos, tmp_path / "elsewhere" / "pictures")
    assert fingerprint(moved) == expected
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        for path in sorted(photos.rglob("*.png"), reverse=True):
            archive.write(path, path.relative_to(photos))
    assert fingerprint(tmp_path / "z.zip") == expected


def test_the_fingerprint_does_not_depend_on_the_listing(photos: Path, monkeypatch) -> None:
    """Peers: "class order from unsorted `listdir`": shuffled listing gives the same labels."""
    expected = load_data(str(photos), 8).manifest
    walk = os.walk

    def backwards(*arguments, **options):
        for folder, folders, files in walk(*arguments, **options):
            folders.sort(reverse=True)
            yield folder, folders, sorted(files, reverse=True)

    monkeypatch.setattr(os, "walk", backwards)
    manifest = load_data(str(photos), 8).manifest
    assert manifest.fingerprint == expected.fingerprint
    assert manifest.classes == ("cats", "dogs")
    assert manifest.labels.tolist() == expected.labels.tolist() == [0] * 8 + [1] * 8


def change(photos: Path, picture: Callable[..., None]) -> None:
    picture(photos / "cats" / "3.png", 999)


def rename(photos: Path, picture: Callable[..., None]) -> None:
    (photos / "cats" / "3.png").rename(photos / "cats" / "33.png")


def relabel(photos: Path, picture: Callable[..., None]) -> None:
    (photos / "cats" / "3.png").rename(photos / "dogs" / "33.png")


def remove(photos: Path, picture: Callable[..., None]) -> None:
    (photos / "cats" / "3.png").unlink()


@pytest.mark.parametrize("edit", [change, rename, relabel, remove])
def test_an_edit_changes_the_fingerprint(photos: Path, picture, edit: Callable[..., None]) -> None:
    before = fingerprint(photos)
    edit(photos, picture)
    assert fingerprint(photos) != before


def test_a_part_changes_the_fingerprint(photos: Path) -> None:
    table = photos.with_name("t.csv")
    rows = [f"{p.relative_to(photos.parent)},{p.parent.name}" for p in photos.rglob("*.png")]
    table.write_text("\n".join(["path,label,split", *(f"{row},train" for row in rows)]))
    before = fingerprint(table)
    table.write_text("\n".join(["path,label,split", *(f"{row},test" for row in rows)]))
    assert fingerprint(table) != before


def test_unchanged_files_are_not_read_again(photos: Path, cache: Path, monkeypatch) -> None:
    reads = counted_reads(monkeypatch)
    first = hash_items(open_source(str(photos)), cache)
    assert len(reads) == 16
    assert hash_items(open_source(str(photos)), cache) == first
    assert len(reads) == 16
    os.utime(photos / "cats" / "3.png", ns=(1, 1))
    assert hash_items(open_source(str(photos)), cache) == first
    assert len(reads) == 32


@pytest.mark.parametrize("harm", ["empty", "text", "cut", "short"])
def test_a_damaged_scan_is_made_again(photos: Path, cache: Path, picture, harm: str) -> None:
    expected = hash_items(open_source(str(photos)), cache)
    (scan,) = cache.glob("scans/*.npz")
    match harm:
        case "empty":
            scan.write_bytes(b"")
        case "text":
            scan.write_text("no array")
        case "cut":
            scan.write_bytes(scan.read_bytes()[:-30])
        case "short":
            for number in range(4):
                picture(photos.with_name("other") / "a" / f"{number}.png", number)
            hash_items(open_source(str(photos.with_name("other"))), cache)
            (other,) = set(cache.glob("scans/*.npz")) - {scan}
            other.replace(scan)
    assert hash_items(open_source(str(photos)), cache) == expected


def test_a_file_that_could_not_be_read_is_tried_again(photos: Path, monkeypatch) -> None:
    """`chmod` repairs it without a trace in size or time."""
    with monkeypatch.context() as patch:
        read = FileSource.read

        def forbidden(self: FileSource, name: str) -> bytes:
            if name == "cats/3.png":
                raise PermissionError(13, "Permission denied")
            return read(self, name)

        patch.setattr(FileSource, "read", forbidden)
        ((name, reason),) = load_data(str(photos), 8).manifest.unreadable
        assert name == "cats/3.png"
        assert reason == "Permission denied"
    reads = counted_reads(monkeypatch)
    source = open_source(str(photos))
    assert UNREADABLE not in hash_items(source, Path(os.environ["NORMLAB_CACHE"]))
    assert reads == ["cats/3.png"]
    manifest = load_data(str(photos), 8).manifest
    assert manifest.unreadable == ()
    assert len(manifest) == 16


def test_a_link_to_nowhere_is_left_out_with_its_reason(photos: Path) -> None:
    (photos / "cats" / "gone.png").symlink_to(photos / "nowhere.png")
    manifest = load_data(str(photos), 8).manifest
    ((name, reason),) = manifest.unreadable
    assert name == "cats/gone.png"
    assert reason == "No such file or directory"
    assert len(manifest) == 16


def test_progress_counts_to_the_end(photos: Path, cache: Path) -> None:
    said: list[tuple[str, int, int]] = []
    hash_items(open_source(str(photos)), cache, lambda *words: said.append(words))
    assert said == [("reading", done, 16) for done in range(1, 17)]


def test_copies_share_a_group(photos: Path) -> None:
    for name in ("cats/c.png", "dogs/c.png"):
        shutil.copy(photos / "cats" / "0.png", photos / name)
    manifest = load_data(str(photos), 8).manifest
    same = [manifest.hashes[i] == manifest.hashes[j] for i in range(18) for j in range(18)]
    grouped = [manifest.groups[i] == manifest.groups[j] for i in range(18) for j in range(18)]
    assert grouped == same
    assert sum(same) == 15 + 9
    assert manifest.duplicates == 2
    assert manifest.counts() == {"cats": 9, "dogs": 9}


def test_classes_are_in_the_order_of_their_names() -> None:
    assert check_classes(["b", "a", "B", "10", "9"] * 3, "x") == ("10", "9", "B", "a", "b")


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([], "x has no readable image; a comparison needs at least two classes"),
        (["a"] * 9, r"x has one class \('a'\); a comparison needs at least two classes"),
        (["a"] * 9 + ["b"], r"class 'b' in x has 1 image; it needs at least 3, one each for"),
        (["a"] * 9 + ["b"] * 2, r"class 'b' in x has 2 images; it needs at least 3, one each for"),
    ],
)
def test_too_little_to_compare(labels: list[str], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        check_classes(labels, "x")
