"""Tars: what a folder gives, a tar gives too; and one sentence for each that cannot be trusted."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from normlab.data.dataset import load_data, typical_size
from normlab.data.layout import Item
from normlab.data.sources import archives, open_source
from normlab.errors import DataError, StorageError

MODES = {
    "t.tar": "w",
    "t.tar.gz": "w:gz",
    "t.tgz": "w:gz",
    "t.tar.bz2": "w:bz2",
    "t.tar.xz": "w:xz",
}


def pack(path: Path, members: dict[str, bytes], mode: str | None = None) -> Path:
    with tarfile.open(path, mode or MODES[path.name]) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def special(path: Path, kind: bytes, name: str = "a/2.png") -> Path:
    """A tar with one image and one member of another kind."""
    with tarfile.open(path, "w") as archive:
        image = tarfile.TarInfo("a/1.png")
        image.size = 3
        archive.addfile(image, io.BytesIO(b"one"))
        member = tarfile.TarInfo(name)
        member.type = kind
        member.linkname = "a/1.png"
        archive.addfile(member)
    return path


@pytest.mark.parametrize("name", MODES)
def test_a_tar_gives_what_the_folder_gives(photos: Path, tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / name, MODES[name]) as archive:
        archive.add(photos, ".")  # members begin with ./
    expected = load_data(str(photos), 8)
    got = load_data(str(tmp_path / name), 8, cache=tmp_path / "other cache")
    np.testing.assert_array_equal(got.images, expected.images)
    assert got.manifest.fingerprint == expected.manifest.fingerprint
    assert got.manifest.location == str(tmp_path / name)
    assert typical_size(str(tmp_path / name)) == 10


def test_a_compressed_tar_is_unpacked_once(
    photos: Path, tmp_path: Path, cache, monkeypatch
) -> None:
    path = tmp_path / "t.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(photos, "photos")
    first = [item.name for item in open_source(str(path)).items()]
    assert len(list(cache.glob("unpacked/*/archive.tar"))) == 1

    def never(*_: object) -> None:
        raise AssertionError("unpacked again")

    monkeypatch.setattr(archives, "_unpack", never)
    assert [item.name for item in open_source(str(path)).items()] == first
    os.utime(path, ns=(1, 1))
    with pytest.raises(AssertionError, match="unpacked again"):
        open_source(str(path))


def test_a_plain_tar_is_read_in_place(tmp_path: Path, cache: Path) -> None:
    names = ["Ærfugl/søt.jpg", "アオサギ/一.jpg", f"{'x' * 250}/{'y' * 245}.jpg", ".hidden/1.jpg"]
    source = open_source(str(pack(tmp_path / "t.tar", {name: name.encode() for name in names})))
    assert [item.name for item in source.items()] == sorted(names[:3])
    for name in names[:3]:
        assert source.read(name) == name.encode()
    assert not cache.exists()


def test_a_tar_of_a_table(tmp_path: Path) -> None:
    members = {"./d/t.csv": b"path,label\nx/1.jpg,7\nx/2.jpg,8\n", "./d/x/1.jpg": b"1"}
    source = open_source(str(pack(tmp_path / "t.tar", members)))
    assert list(source.items()) == [Item("d/x/1.jpg", "7"), Item("d/x/2.jpg", "8")]
    assert source.read("d/x/1.jpg") == b"1"
    with pytest.raises(OSError, match="is not in the tar"):
        source.read("d/x/2.jpg")


@pytest.mark.parametrize("name", ["../a/1.png", "/a/1.png", "a/../../b/1.png"])
def test_a_tar_that_leaves_itself(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"has a member .* outside of it; pack it again"):
        open_source(str(pack(tmp_path / "t.tar", {name: b"", "a/1.png": b""})))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a link"),
        (tarfile.CHRTYPE, "is a device or pipe"),
        (tarfile.BLKTYPE, "is a device or pipe"),
        (tarfile.FIFOTYPE, "is a device or pipe"),
    ],
)
def test_a_tar_with_what_is_no_file(tmp_path: Path, kind: bytes, words: str) -> None:
    with pytest.raises(DataError, match=rf"a/2\.png' that {words}; pack it again from plain files"):
        open_source(str(special(tmp_path / "t.tar", kind)))


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.9999])
@pytest.mark.parametrize("name", ["t.tar", "t.tar.gz", "t.tar.bz2", "t.tar.xz"])
def test_a_tar_that_was_cut_short(tmp_path: Path, cache: Path, name: str, keep: float) -> None:
    random = np.random.default_rng(0)
    members = {f"{n % 2}/{n}.png": random.bytes(9_000) for n in range(20)}
    path = pack(tmp_path / name, members)
    content = path.read_bytes()
    if name == "t.tar":  # without its end of zeros, which a cut at 0.9999 would only shorten
        content = content[: 20 * (512 + 9_216)]
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(DataError, match=r"is no whole tar .*: was it cut short\? copy it or pack"):
        open_source(str(path))
    assert not list(cache.glob("unpacked/*/")), "half an archive was left behind"


def test_damage_in_the_middle_is_not_taken_for_the_end(tmp_path: Path) -> None:
    path = pack(tmp_path / "t.tar", {f"{n % 2}/{n}.png": b"x" for n in range(9)})
    content = bytearray(path.read_bytes())
    content[4 * 1024 : 4 * 1024 + 200] = b"\xff" * 200
    path.write_bytes(content)
    with pytest.raises(DataError, match="is no whole tar"):
        open_source(str(path))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("size", [-512, -1024, -(2**40)])
def test_a_member_of_a_negative_size_does_not_lead_back_for_ever(tmp_path: Path, size: int) -> None:
    member = tarfile.TarInfo("a/2.png")
    member.size = size
    first = pack(tmp_path / "t.tar", {"a/1.png": b"1", "b/1.png": b"2"}).read_bytes()[:2048]
    content = first + member.tobuf(tarfile.GNU_FORMAT) + b"\0" * 1024
    (tmp_path / "t.tar").write_bytes(content)
    with pytest.raises(DataError, match="is no whole tar"):
        open_source(str(tmp_path / "t.tar"))


@pytest.mark.parametrize("content", [b"", b"text", b"\x1f\x8b", b"\x1f\x8b\x08\x00" + b"x" * 50])
def test_a_tar_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.tar.gz").write_bytes(content)
    with pytest.raises(DataError, match="is no whole tar"):
        open_source(str(tmp_path / "t.tar.gz"))


def test_a_python_without_a_compressor(tmp_path: Path, monkeypatch) -> None:
    path = pack(tmp_path / "t.tar.xz", {"a/1.png": b"1", "b/1.png": b"1"})
    monkeypatch.setitem(sys.modules, "lzma", None)
    with pytest.raises(
        DataError, match=r"compressed with lzma, which this Python was built without"
    ):
        open_source(str(path))


def test_a_tar_bomb(tmp_path: Path, cache: Path, monkeypatch) -> None:
    monkeypatch.setattr("normlab.data.sources.base.RATIO_FROM", 2**20)
    path = tmp_path / "t.tar.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"\0" * 40 * 2**20)
    with pytest.raises(
        DataError, match=r"unpacks to more than .* 100 times its size, as no images"
    ):
        open_source(str(path))
    assert not list(cache.glob("unpacked/*/"))


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_member_that_unpacks_to_more_than_any_image(
    tmp_path: Path, monkeypatch, kind: str
) -> None:
    monkeypatch.setattr("normlab.data.sources.base.FILE_LIMIT", 2**20)
    members = {"a/1.png": b"\0" * 2**21, "b/1.png": b"1"}
    if kind == "zip":
        path = tmp_path / "z.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        assert path.stat().st_size < 5_000
    else:
        path = pack(tmp_path / "t.tar", members)
    source = open_source(str(path))
    assert source.read("b/1.png") == b"1"
    with pytest.raises(OSError, match="is no image: 2 MiB"):
        source.read("a/1.png")


def test_a_zip_whose_header_hides_the_size(tmp_path: Path) -> None:
    """However much the data would inflate to, no more is read than the header says."""
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", b"\0" * 2**21)
        archive.writestr("b/1.png", b"1")
    size = (2**21).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, (9).to_bytes(4, "little")))
    with pytest.raises(OSError, match="cannot be read from the zip"):
        open_source(str(path)).read("a/1.png")


def test_a_disk_that_fills_while_unpacking(
    photos: Path, tmp_path: Path, cache, monkeypatch
) -> None:
    path = tmp_path / "t.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(photos, "photos")
    opened = Path.open

    def full(self: Path, mode: str = "r", *arguments: object, **options: object):
        if self.name == "archive.tar" and "w" in mode:
            raise OSError(28, "No space left on device")
        return opened(self, mode, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(StorageError, match="No space left on device; free some space or set"):
            open_source(str(path))
    assert not list(cache.glob("unpacked/*/"))
    assert len(open_source(str(path)).items()) == 16


def test_two_processes_unpack_one_archive(photos: Path, tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "t.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(photos, "photos")
    code = f"""
import time
from normlab.data.sources import archives, open_source
unpack = archives._unpack
def slow(*arguments):
    print("unpacks", flush=True)
    time.sleep(0.5)
    unpack(*arguments)
archives._unpack = slow
print(len(open_source({str(path)!r}).items()))
"""
    arguments = [sys.executable, "-c", code]
    processes = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate()[0] for process in processes]
    assert sorted(outputs, key=len) == ["16\n", "unpacks\n16\n"]


def test_a_damaged_copy_in_the_cache(photos: Path, tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "t.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(photos, "photos")
    expected = load_data(str(path), 8).manifest.fingerprint
    (copy,) = cache.glob("unpacked/*/archive.tar")
    copy.write_bytes(copy.read_bytes()[:5_000])
    assert load_data(str(path), 8).manifest.fingerprint == expected


def test_a_zip_with_members_that_begin_with_a_dot(photos: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        for path in photos.rglob("*.png"):
            archive.writestr(zipfile.ZipInfo(f"./{path.relative_to(photos)}"), path.read_bytes())
        assert archive.namelist()[0].startswith("./")
    source = open_source(str(tmp_path / "z.zip"))
    assert source.items() == open_source(str(photos)).items()
    assert source.read("cats/1.png") == (photos / "cats" / "1.png").read_bytes()
