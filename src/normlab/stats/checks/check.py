"""What a check of validity reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["passed", "finding", "not applicable"]
Severity = Literal["error", "warning", "note"]
"""error: the comparison is not valid as it stands; warning: read it with this in mind; note: a
fact that the reader should know."""

_LISTED = 4


@dataclass(frozen=True)
class Check:
    """The result of one check; `severity` is how much a finding of this check matters."""

    code: str
    title: str
    state: State
    severity: Severity
    message: str

    @property
    def anchor(self) -> str:
        """Where the documentation explains the check."""
        return f"docs/checks.md#{self.code.lower()}"


def listed(items: Sequence[str]) -> str:
    """The first few items in words, and how many there are beside.

    >>> listed(["a", "b", "c", "d", "e", "f"])
    'a; b; c; d; and 2 more'
    """
    shown = list(items[:_LISTED])
    if len(items) > _LISTED:
        shown.append(f"and {len(items) - _LISTED} more")
    return "; ".join(shown)
