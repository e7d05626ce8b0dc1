"""What stands behind an executor's name and a colon."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from normlab.errors import UsageError


def read_options(
    executor: str, text: str, kinds: Mapping[str, type], *, auto: Collection[str] = ()
) -> dict[str, Any]:
    """Options as in `10.0.0.1:6379,cpus=2`: the first may be the value of the first kind alone.

    Numbers are positive; those in `auto` may also be "auto", which is None.

    Raises:
        UsageError: an option that the executor does not have; a value that is none.

    >>> read_options("ray", "auto,cpus=2", {"address": str, "cpus": float})
    {'address': 'auto', 'cpus': 2.0}
    >>> read_options("ray", "cpus=auto", {"address": str, "cpus": float}, auto=("cpus",))
    {'cpus': None}
    """
    found: dict[str, Any] = {}
    for place, part in enumerate(piece for piece in text.split(",") if piece.strip()):
        name, is_named, value = part.strip().partition("=")
        if not is_named and place == 0:
            name, value = next(iter(kinds)), part.strip()
        if name not in kinds:
            near = get_close_matches(name, kinds, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UsageError(
                f"the executor {executor} has no option {name!r}; {hint}It has {', '.join(kinds)}"
            )
        if value == "auto" and name in auto:
            found[name] = None
        else:
            found[name] = _read(executor, name, value, kinds[name])
    return found


def _read(executor: str, name: str, value: str, kind: type) -> Any:
    if kind is str:
        return value
    try:
        number = kind(value)
    except ValueError:
        number = 0
    if not 0 < number < float("inf"):
        whole = "a whole number" if kind is int else "a number"
        raise UsageError(f"{name} of the executor {executor} is {whole} above 0, got {value!r}")
    return number
