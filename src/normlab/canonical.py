"""Values as one text that is the same everywhere, and its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from itertools import islice
from typing import Any

_ROWS = 1024
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces, the same text for the same content."""
    return _ENCODER.encode(value)


def content_hash(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def list_hash(rows: Iterable[Any]) -> str:
    """`content_hash` of the rows as a list, which is never in memory as a whole."""
    digest = hashlib.sha256(b"[")
    left, comma = iter(rows), ""
    while some := list(islice(left, _ROWS)):  # encoding many at once takes a third of the time
        digest.update(f"{comma}{canonical_json(some)[1:-1]}".encode())
        comma = ","
    digest.update(b"]")
    return digest.hexdigest()
