"""What nobody means: absurd values by the type of an option, and files that hold no data."""

from __future__ import annotations

import gzip
import io
import struct
import typing
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

HUGE = "9" * 21
LONG = "9" * 5_000
NO_NUMBER = ("abc", "nan", "inf", "-inf", "1,5", "0x1f", "1 2", "−1", "½", "1e400", HUGE, LONG)
"""No whole number that anything can have, and no float but for those that `FLOATS` leaves out."""
NO_NAME = ("", " ", ",", "no such thing", "\x1b[31mred\x07", "x" * 5_000, "💥", "=cmd()", "../..")
"""No norm, network, optimizer, schedule, size or anything else that has names."""

NAMED = frozenset(
    {
        *("norms", "norm", "optimizers", "optimizer", "learning_rates", "batch_sizes", "vary"),
        *("compared", "budget", "tune_range", "recipe", "scale", "reference", "metric", "looks"),
        *("resize", "copies", "schedule", "augmentation", "precision", "device", "jobs"),
        *("executor", "model", "choose", "layers", "mode", "changes", "to", "older_than"),
        *("norm_batch", "freeze_norm", "track", "plugin"),
    }
)
"""Options whose text is a name or a list of names."""
EMPTY_IS_FINE = frozenset(
    {"changes", "vary", "freeze_norm", "track", "plugin", "to", "augmentation", "reference"}
)
"""Options for which no text, or blanks between commas, may stand for nothing."""


def values_for(name: str, kind: Any, least: float | None, most: float | None) -> Iterator[str]:
    """Values that an option of a type must refuse.

    Args:
        name: of the option's parameter.
        kind: its annotation: int, float, str, perhaps None, perhaps a list of them.
        least: the lower end of its range.
        most: the upper end.
    """
    kinds = {kind, *typing.get_args(kind)}
    kinds |= {inner for one in kinds for inner in typing.get_args(one)}
    if int in kinds:
        yield from ("", *(v for v in NO_NUMBER if (name, v) != ("seed", HUGE)), "1.5")
        if name != "seed":  # which is hashed, and may be any whole number
            yield "-1"
        if least is not None:
            yield str(int(least) - 1)
        if most is not None:
            yield str(int(most) + 1)
    elif float in kinds:
        yield from ("", "abc", "nan", "1,5", "0x1f", "−1", "-1e300", "inf", "1e400", LONG)
        if least is not None:
            yield str(least - 1)
    elif str in kinds and name in NAMED:
        for value in NO_NAME:
            if value.strip(" ,") or name not in EMPTY_IS_FINE:
                yield value


def _zip(name: str, content: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def _npy(header: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


HEADER = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}\n"
"""Of three numbers in an .npy."""


def files() -> Mapping[str, bytes]:
    """Content that is no data of any format, by a name."""
    strange = bytearray(_zip("a/b.png", b"x" * 40))
    strange[8], strange[strange.index(b"PK\x01\x02") + 10] = 97, 97  # no such compression
    locked = bytearray(_zip("a/b.png", b"x" * 40))
    locked[6] |= 1
    locked[locked.index(b"PK\x01\x02") + 8] |= 1  # encrypted
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    return {
        "empty": b"",
        "one-byte": b"\n",
        "zeros": bytes(1_000),
        "noise": np.random.default_rng(0).bytes(700),
        "deep-lists": b"[" * 100_000,
        "deep-objects": b'{"a":' * 50_000,
        "deep-toml": b"a = " + b"[" * 50_000,
        "deep-keys": b"a." * 20_000 + b"a = 1\n",
        "digits": LONG.encode(),
        "digits-json": b'{"a": ' + LONG.encode() + b"}\n",
        "digits-toml": b"blocks = " + LONG.encode() + b"\n",
        "digits-csv": b"path,label\na.png," + LONG.encode() + b"\n",
        "long-cell": b'path,label\n"' + b"a" * 300_000 + b'",b\n',
        "open-quote": b'path,label\n"a,b\nc,d\n',
        "utf-16": "path,label\na.png,b\n".encode("utf-16"),
        "latin-1": b"path,label\n\xe9.png,b\n",
        "surrogate": b'{"a": "\\ud800"}\n',
        "surrogate-rows": b'[{"path": "\\ud800.png", "label": "a"}]\n',
        "bad-date": b"a = 1979-99-99\n",
        "nan-json": b'{"a": NaN}\n',
        "half-zip": _zip("a/b.png", b"x" * 400)[:200],
        "strange-zip": bytes(strange),
        "locked-zip": bytes(locked),
        "path-zip": _zip("../../../a/b.png", b"x"),
        "half-gzip": gzip.compress(b"x" * 4_000)[:30],
        "npy-deep": _npy(b"(" * 9_000 + b"\n"),
        "npy-digits": _npy(HEADER.replace(b"3", b"9" * 40)),
        "npz-objects": _zip("images.npy", _npy(HEADER.replace(b"<f4", b"|O")) + b"\x80\x04N."),
        "npz-huge": _zip("images.npy", _npy(HEADER.replace(b"3", b"1000000000000, 1000000000"))),
        "safetensors-long": struct.pack("<Q", 2**60) + b"{}",
        "safetensors-deep": struct.pack("<Q", 50_000) + b'{"a":' * 10_000,
        "safetensors-half": struct.pack("<Q", len(header)) + header,
        "safetensors-other": struct.pack("<Q", len(header)) + header + bytes(4),
        "pickle": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
        "pickle-deep": b"\x80\x04" + b"]" * 3 + b"(" * 50_000,
        "png-head": b"\x89PNG\r\n\x1a\n" + bytes(40),
        "jpeg-head": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(40),
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "html": b"<html><body><script>alert(1)</script>" + b"<div>" * 20_000,
        "parquet-head": b"PAR1" + bytes(60) + b"PAR1",
    }  # fmt: skip


ENDINGS = (
    *("", ".csv", ".tsv", ".txt", ".json", ".jsonl", ".toml", ".npz", ".npy", ".zip", ".tar"),
    *(".tar.gz", ".parquet", ".safetensors", ".pt", ".pth", ".png", ".jpg", ".html", ".md", ".tex"),
)
