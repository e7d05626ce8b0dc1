"""What a check of the data reports: findings with a code, a remedy and images to look at."""

from __future__ import annotations

from pydantic import Field

from normlab.records.checks import Severity
from normlab.records.run import Frozen


class Evidence(Frozen):
    """Images that show a finding, side by side."""

    names: tuple[str, ...]
    caption: str = ""
    overlay: tuple[float, ...] = ()
    """Of a pair: the six numbers of the map that gives coordinates in the first image from those in
    the second, in half sides from the centre, row by row."""


class Finding(Frozen):
    """One finding; the codes are explained in docs/data-check.md."""

    code: str
    title: str
    severity: Severity
    count: int = Field(ge=0)
    """Images (or classes, where the message says so) that it concerns."""
    message: str
    remedy: str
    evidence: tuple[Evidence, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    """Rows with a head, for the page."""


class DataReport(Frozen):
    """All that was found in a source; `check.json` is this."""

    source: str
    fingerprint: str
    classes: tuple[str, ...]
    images: int = Field(ge=0)
    parts: dict[str, int]
    facts: tuple[tuple[str, str], ...]
    """Name and value of what is worth knowing, in words."""
    findings: tuple[Finding, ...]
    passed: tuple[tuple[str, str], ...]
    """Code and title of every check that found nothing."""
    seconds: float
