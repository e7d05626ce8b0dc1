"""What a check of the data reports: findings with a code, a remedy and images to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from normlab.records.schema import Frozen

Severity = Literal["error", "warning", "note"]
"""error: results on these data are wrong; warning: read them with this in mind; note: a fact."""


class Evidence(Frozen):
    """Images that show a finding, side by side."""

    names: tuple[str, ...]
    caption: str = ""


class Finding(Frozen):
    """One finding; the codes are explained in docs/data-check.md."""

    code: str
    title: str
    severity: Severity
    count: int
    """Images (or classes, where the message says so) that it concerns."""
    message: str
    remedy: str
    evidence: tuple[Evidence, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    """Rows with a head, for the page."""

    @property
    def anchor(self) -> str:
        """Where the documentation explains it."""
        return f"docs/data-check.md#{self.code.lower()}"


class DataReport(Frozen):
    """All that was found in a source; `check.json` is this."""

    source: str
    fingerprint: str
    classes: tuple[str, ...]
    images: int
    parts: dict[str, int]
    facts: tuple[tuple[str, str], ...]
    """Name and value of what is worth knowing, in words."""
    findings: tuple[Finding, ...]
    passed: tuple[tuple[str, str], ...]
    """Code and title of every check that found nothing."""
    seconds: float


def standing_out(shares: np.ndarray, least: float) -> np.ndarray:
    """The classes whose share is at least `least` and far above the median of the others.

    >>> standing_out(np.array([0.0, 0.9, 0.02]), least=0.3).tolist()
    [1]
    """
    found = [
        k
        for k, share in enumerate(shares)
        if share >= least and share > 2 * float(np.median(np.delete(shares, k))) + 0.05
    ]
    return np.array(found, dtype=np.int64)


RANK = {"error": 0, "warning": 1, "note": 2}


def worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Errors, warnings, notes; within them by code."""
    return tuple(sorted(findings, key=lambda f: (RANK[f.severity], f.code)))


def percent(share: float) -> str:
    """A share in words.

    >>> percent(0.823), percent(0.004)
    ('82 %', '0.4 %')
    """
    return f"{100 * share:.0f} %" if share >= 0.095 or share == 0 else f"{100 * share:.1f} %"


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "image"), counted(1200, "image")
    ('1 image', '1,200 images')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def some(names: Sequence[str], shown: int = 3) -> str:
    """The first few names, and how many there are beside.

    >>> some(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    if len(names) <= shown:
        return ", ".join(names)
    return f"{', '.join(names[:shown])} and {len(names) - shown} more"
