"""`normlab cache`: what is listed, what is removed, and that it asks."""

from __future__ import annotations

import os
import sys
from io import StringIO
from pathlib import Path

import pytest

from normlab.cli.verbs.cache import format_age, parse_age
from normlab.data.cache import entry_lock
from normlab.data.dataset import load_data
from normlab.norms.fused.cpu import loader
from normlab.text import format_bytes


@pytest.fixture(autouse=True)
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kernel that may be removed."""
    folder = tmp_path / "kernels" / "torch-9"
    folder.mkdir(parents=True)
    (folder / "planes.so").write_bytes(b"x" * 5000)
    monkeypatch.setattr(loader, "cache_folder", lambda: folder)
    return folder


@pytest.fixture
def cache(photos: Path, tmp_path: Path) -> Path:
    load_data(str(photos), 8)
    return tmp_path / "cache"


@pytest.mark.usefixtures("cache")
def test_the_list(normlab, photos: Path) -> None:
    result = normlab("cache")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0].split() == ["kind", "on", "disk", "images", "pixels", "last", "used", "source"]
    assert sorted(line.split()[0] for line in lines[1:-1] if line[0] != " ") == [
        "images",
        "kernel",
        "scan",
    ]
    assert "24     8×8  just now" in result.out
    assert str(photos) in "".join(line[44:].strip() for line in lines if line)
    assert lines[-1].startswith("3 entries, ")


def test_an_empty_cache(normlab, kernels: Path) -> None:
    (kernels / "planes.so").unlink()
    kernels.rmdir()
    assert normlab("cache", "--clean").out.startswith("0 entries, 0 KiB, in ")


def test_it_asks(normlab, cache: Path, monkeypatch) -> None:
    before = sorted(cache.rglob("*"))
    monkeypatch.setattr(sys, "stdin", StringIO(""))
    normlab("cache", "--clean").assert_one_sentence("no terminal to ask", "add --yes")

    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    result = normlab("cache", "--clean")
    assert result.code == 0
    assert "Nothing was removed." in result.out
    assert sorted(cache.rglob("*")) == before


def test_clean(normlab, cache: Path, kernels: Path) -> None:
    result = normlab("cache", "--clean", "--yes")
    assert result.code == 0
    assert "removed 3, " in result.out
    assert not [path for path in cache.rglob("*") if path.is_file()]
    assert not kernels.exists()


def test_only_what_is_old(normlab, cache: Path, kernels: Path) -> None:
    (entry,) = (path.parent for path in cache.glob("images/*/images.u8"))
    month = 31 * 86_400
    status = (entry / "checks.json").stat()
    os.utime(entry / "checks.json", (status.st_mtime - month, status.st_mtime - month))
    assert "1 entry, " in normlab("cache", "--older-than", "30d").out
    assert "removed 1, " in normlab("cache", "--clean", "--older-than", "30d", "-y").out
    assert not entry.exists()
    assert kernels.exists()
    assert "0 entries, " in normlab("cache", "--clean", "--older-than", "30d", "-y").out


def test_what_is_being_made_is_kept(normlab, cache: Path) -> None:
    (entry,) = (path.parent for path in cache.glob("images/*/images.u8"))
    with entry_lock(entry):
        assert "removed 2, " in (out := normlab("cache", "--clean", "-y").out)
    assert "; 1 in use, kept" in out
    assert entry.exists()


@pytest.mark.parametrize("age", ["30", "d", "30 days", "-1d", ""])
def test_an_age_that_is_none(normlab, age: str) -> None:
    normlab("cache", f"--older-than={age}").assert_one_sentence("an age like 12h, 30d or 8w", "got")


def test_words() -> None:
    assert (parse_age("12h"), parse_age("1.5d"), parse_age(" 8 w ")) == (43_200, 129_600, 4_838_400)
    assert [format_bytes(n) for n in (0, 1, 2**20, 2**31)] == [
        "0 KiB",
        "1 KiB",
        "1.0 MiB",
        "2.0 GiB",
    ]
    assert [format_age(s) for s in (0, 3600, 86_400)] == ["just now", "1 h ago", "1 d ago"]
