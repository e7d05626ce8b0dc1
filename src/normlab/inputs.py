"""What may be read, and how: only files, and every fault of a parser becomes one sentence.

A pipe may never end, a device has no end, a socket is nobody's data. What a parser raises for bytes
that are not its format is no list that anybody keeps: that of zip files raises seven kinds of
exceptions, and a JSON of 5,000 digits another. So each format is read inside of `reading`.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import stat
import struct
import tarfile
import tokenize
import tomllib
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from normlab.errors import DataError, NormlabError, shortened

_LZMA: tuple[type[Exception], ...] = ()
with contextlib.suppress(ImportError):  # some builds of Python have none
    import lzma

    _LZMA = (lzma.LZMAError,)
PARSER_FAULTS: tuple[type[Exception], ...] = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError),
    *(RuntimeError, SyntaxError, EOFError, MemoryError),
    *(struct.error, tokenize.TokenError, zlib.error, zipfile.BadZipFile, tarfile.TarError),
    csv.Error,
    *_LZMA,
)
"""What parsers of arrays, archives, tables and records are known to raise for other bytes, where a
damaged file is made again without a word; a misspelt name in our own code is not among it."""
_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def kind_of_no_file(path: Path) -> str | None:
    """What stands at a path, links followed, where it is neither a file nor a folder; else None.

    What is missing, or may not be seen, is None too: who opens it says so.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return None
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), None)


def check_input(path: Path) -> Path:
    """The path itself, unless opening it could wait for ever.

    Raises:
        DataError: it is a pipe, a device or a socket.
    """
    kind = kind_of_no_file(path)
    if kind is not None:
        raise DataError(f"{path} is {kind}, and only files are read; save what it holds as a file")
    return path


MAX_TOML = 4 * 2**20
"""Bytes of a plan: more than any has, and read in some seconds."""
MAX_DEPTH = 100
"""Tables in tables of a plan; what prints or compares it goes as deep as it."""
_KEY = re.compile(r"[^\n=\[\]{},#]+")
"""What may be a key of a TOML file, once its blanks are taken out; else a part of a value."""


@contextlib.contextmanager
def reading(what: str, remedy: str, kind: type[NormlabError] = DataError) -> Iterator[None]:
    """Turn whatever a parser raises into one sentence: WHAT (reason); REMEDY.

    normlab's own errors say enough already, and pass.

    Raises:
        NormlabError: of the given kind, where something was raised.

    >>> with reading("a.json is no JSON", "write it again"):
    ...     json.loads("[" * 100_000)
    Traceback (most recent call last):
    normlab.errors.DataError: a.json is no JSON (it is nested too deep); write it again
    """
    try:
        yield
    except NormlabError:
        raise
    except Exception as error:
        raise kind(f"{what} ({reason_of(error)}); {remedy}") from error


def reason_of(error: Exception) -> str:
    r"""What a parser says, in one line that is not too long.

    >>> reason_of(ValueError("no\n number")), reason_of(KeyError("ids")), reason_of(EOFError())
    ('no number', "KeyError: 'ids'", 'EOFError')
    """
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    said = shortened(" ".join(str(error).split()), 200)
    if isinstance(error, ValueError | OSError | SyntaxError) and said:
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def parse_json(
    text: str | bytes, where: str, remedy: str, kind: type[NormlabError] = DataError
) -> Any:
    """What a JSON text holds; `where` it is and the `remedy` are parts of the sentence.

    Raises:
        NormlabError: of the given kind: it is none.
    """
    with reading(f"{where} is not JSON", remedy, kind):
        return json.loads(text)


def read_toml(path: Path, remedy: str, kind: type[NormlabError] = DataError) -> dict[str, Any]:
    """What a TOML file holds.

    Raises:
        OSError: the file is missing or cannot be read.
        NormlabError: of the given kind: it is none, larger than MAX_TOML, or deeper than MAX_DEPTH.
    """
    size = check_input(path).stat().st_size
    if size > MAX_TOML:
        raise kind(f"{path} has {size / 2**20:,.0f} MiB, and a plan has at most 4; {remedy}")
    content = path.read_bytes()
    with reading(f"{path} is not valid TOML", remedy, kind):
        text = content.decode("utf-8").replace("\r\n", "\n")
        keys = _KEY.findall(text.replace(" ", "").replace("\t", ""))
        if any(key.count(".") >= MAX_DEPTH for key in keys):
            # before parsing, whose time grows with the square of a key's parts
            raise ValueError(f"it is nested over {MAX_DEPTH} deep")
        found = tomllib.loads(text)
        _check_depth(found)
        return found


def csv_rows(text: str, where: str, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV, each with the number of its last line.

    Raises:
        DataError: a row is none, as where a quotation mark stays open.
    """
    reader = csv.reader(io.StringIO(text, newline=None), delimiter=delimiter)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise DataError(
            f"{where} line {reader.line_num}: {error}; is a quotation mark left open?"
        ) from None


def _check_depth(content: Any) -> None:
    """Raise a ValueError where lists and tables are nested deeper than MAX_DEPTH."""
    level = [content]
    for _ in range(MAX_DEPTH):
        inside = (one.values() if isinstance(one, dict) else one for one in level)
        level = [one for each in inside for one in each if isinstance(one, dict | list)]
        if not level:
            return
    raise ValueError(f"it is nested over {MAX_DEPTH} deep")
