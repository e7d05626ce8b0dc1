"""Only files are read, and an output never replaces what is no file."""

from __future__ import annotations

import os
import re
import socket
import stat
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from normlab.cli.verbs.predict import is_pixels
from normlab.data.sources.by_location import open_source
from normlab.errors import DataError, PlanError, StorageError
from normlab.inputs import check_input, kind_of_no_file, reading
from normlab.networks.libraries.weights import file_hash
from normlab.records.files import atomic_write, checksum, read_bytes
from normlab.records.plan import read_plan
from normlab.stats.audit.reading import read_tables

READERS: dict[str, Callable[[Path], object]] = {
    "a table": lambda path: open_source(str(path)),
    "a table to audit": read_tables,
    "a plan": read_plan,
    "a record": read_bytes,
    "a checksum": checksum,
    "weights": file_hash,
    "a table of pixels": is_pixels,
}

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")


@pytest.mark.parametrize("ending", ["csv", "zip", "npz", "tar.gz", "parquet"])
def test_a_pipe_as_source_is_refused_at_once(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"p.{ending}"
    os.mkfifo(path)
    with pytest.raises(DataError, match="is a named pipe, and only files are read"):
        open_source(str(path))


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_refuses_a_pipe(tmp_path: Path, reader: str) -> None:
    path = tmp_path / "p.csv"
    os.mkfifo(path)
    with pytest.raises(DataError, match="is a named pipe"):
        READERS[reader](path)


def test_whatever_a_parser_raises_is_one_sentence(tmp_path: Path) -> None:
    errors = (RecursionError(), KeyError("ids"), EOFError(), ValueError("a\nb"), struct.error())
    for error in errors:
        fault = reading("a.bin is damaged", "mend it", StorageError)
        with pytest.raises(StorageError) as found, fault:
            raise error
        assert re.fullmatch(r"a\.bin is damaged \([^\n]+\); mend it", str(found.value))
    with pytest.raises(PlanError, match="own words"), reading("x", "y"):
        raise PlanError("own words")
    with pytest.raises(KeyboardInterrupt), reading("x", "y"):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a = " + b"[" * 50_000, "it is nested too deep"),
        (b"a." * 50_000 + b"a = 1\n", "it is nested over 100 deep"),
        (b"blocks = " + b"9" * 5_000, "digits"),
        (b"a = 1979-99-99\n", "Expected newline"),
        (b"\xff\xfe", "utf-8"),
    ],
)
def test_a_plan_that_is_none(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "study.toml").write_bytes(content)
    with pytest.raises(PlanError, match=rf"is not valid TOML \(.*{reason}.*\); restore the file"):
        read_plan(tmp_path / "study.toml")


def test_a_plan_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("normlab.inputs.MAX_TOML", 10)
    (tmp_path / "study.toml").write_bytes(b"name = 'abcdefghij'\n")
    with pytest.raises(PlanError, match="a plan has at most 4"):
        read_plan(tmp_path / "study.toml")


def test_what_is_no_file_is_named_through_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kind_of_no_file(Path("/dev/null")) == "a device"
    link = tmp_path / "link"
    link.symlink_to("/dev/null")
    with pytest.raises(DataError, match="is a device"):
        check_input(link)
    with socket.socket(socket.AF_UNIX) as one:
        monkeypatch.chdir(tmp_path)  # a socket's address is short
        one.bind("s")
        assert kind_of_no_file(tmp_path / "s") == "a socket"
        with pytest.raises(StorageError, match="it is a socket; name a file"):
            atomic_write(tmp_path / "s", b"x")
    assert kind_of_no_file(tmp_path) is None
    assert kind_of_no_file(tmp_path / "missing") is None


def test_a_pipe_gets_the_output_and_stays_a_pipe(tmp_path: Path) -> None:
    path, got = tmp_path / "p", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    atomic_write(path, (b"one ", b"two"))
    reader.join(10)
    assert got == [b"one two"]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "null"
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        path.open("wb").close()
    except OSError:
        pytest.skip("this user cannot make devices")
    atomic_write(path, b"gone")
    assert stat.S_ISCHR(path.stat().st_mode)
    assert list(tmp_path.iterdir()) == [path]
