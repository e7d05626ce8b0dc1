"""What a check of the data reads and finds, and the decorator that registers it.

A check is a generator function of a DataToCheck under `@check(code, title, severity=…)` that yields
Found(…) for each fault. docs/data-check.md explains the code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from normlab.data.check.files import FileFacts
from normlab.data.duplicates.search_pairs import Duplicates
from normlab.data.scan import Manifest
from normlab.records.checks import (
    RegisteredCheck,
    Severity,
    first_line,
    import_checks,
    register,
    registered_checks,
)
from normlab.records.data_report import Evidence, Finding


@dataclass(frozen=True, eq=False)
class DataToCheck:
    """All that a check may read."""

    manifest: Manifest
    images: UInt8[np.ndarray, "n s s 3"]
    """The prepared pixels."""
    files: FileFacts | None = None
    """What the headers say; None in the short form, which a study keeps of its data."""
    pairs: Duplicates | None = None
    """The near duplicates; None in the short form, which knows their groups alone."""

    @property
    def file_facts(self) -> FileFacts:
        """What the headers say, for a check that is not of the short form."""
        assert self.files is not None
        return self.files

    @property
    def duplicates(self) -> Duplicates:
        """The near duplicates, for a check that is not of the short form."""
        assert self.pairs is not None
        return self.pairs


@dataclass(frozen=True)
class Found:
    """One fault; see records.data_report.Finding for its fields."""

    count: int
    message: str
    remedy: str
    evidence: tuple[Evidence, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    title: str = ""
    """Where it says more than the title of the check."""
    severity: Severity | None = None
    """Where it is not that of the check."""


@dataclass(frozen=True, eq=False)
class DataCheck(RegisteredCheck[DataToCheck, tuple[Finding, ...]]):
    """A check of data; calling it with a DataToCheck gives its findings."""

    short: bool = False
    """Whether it is part of the short form: it reads the manifest and the pixels alone."""


def check(
    code: str, title: str, *, severity: Severity, short: bool = False
) -> Callable[[Callable[[DataToCheck], Iterator[Found]]], DataCheck]:
    """Register a generator function as a check of data.

    Args:
        code: "DC" and three digits; a package of its own may take other letters and digits.
        title: what is found, in a few words.
        severity: how much a finding matters, if it does not say otherwise.
        short: whether it runs in the short form too, without `files` and `pairs`.

    Raises:
        UsageError: another check has this code.
    """

    def decorate(find: Callable[[DataToCheck], Iterator[Found]]) -> DataCheck:
        def run(data: DataToCheck) -> tuple[Finding, ...]:
            return tuple(
                Finding(
                    code=code,
                    title=found.title or title,
                    severity=found.severity or severity,
                    count=found.count,
                    message=found.message,
                    remedy=found.remedy,
                    evidence=found.evidence,
                    table=found.table,
                )
                for found in find(data)
            )

        registered = DataCheck(code, title, severity, first_line(find), run, short)
        register(registered)
        return registered

    return decorate


def data_checks() -> tuple[DataCheck, ...]:
    """Every check of data: those in this folder, and those of installed packages."""
    import_checks("normlab.data.check")
    return tuple(found for found in registered_checks() if isinstance(found, DataCheck))
