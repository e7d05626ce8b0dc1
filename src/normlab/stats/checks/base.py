"""What a check of validity reads and reports, and the decorator that registers it.

A check is one file: a function of a StudyToCheck under `@check(code, title, severity=…)`, that
returns passed(…), finding(…) or not_applicable(…). Its docstring's first line is what
`normlab checks` prints; docs/checks.md explains the code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from normlab.records.checks import RegisteredCheck, Severity, first_line, register
from normlab.records.data_report import DataReport, Probe
from normlab.records.plan import StudyPlan
from normlab.records.store import RunRecord
from normlab.records.tuning_results import TuningResults
from normlab.stats.data.layout import Layout
from normlab.stats.inference.looks.state import SequentialDecisions
from normlab.stats.inference.sequential import sequential_layouts

State = Literal["passed", "finding", "not applicable"]

_LISTED = 4


@dataclass(frozen=True, eq=False)
class StudyToCheck:
    """All that a check may read."""

    plan: StudyPlan
    runs: Sequence[RunRecord]
    tuning_results: TuningResults | None = None
    """None where nothing was tuned, or the tuning has not ended."""
    data: DataReport | None = None
    """What was found in the data when the study began; None where they were not checked."""
    probe: Probe | None = None
    """What a short run before the study showed; None where there was none."""

    @cached_property
    def settings(self) -> tuple[tuple[Layout, SequentialDecisions], ...]:
        """Every setting with its decisions, worked out once for the analysis and all checks."""
        return sequential_layouts(self.plan, self.runs)


@dataclass(frozen=True)
class Result:
    """What a check says of one study."""

    state: State
    message: str
    severity: Severity | None = None
    """The severity of this finding, where it is not that of the check."""


@dataclass(frozen=True)
class Check:
    """The result of one check; `severity` is how much a finding of this check matters."""

    code: str
    title: str
    state: State
    severity: Severity
    message: str


class StudyCheck(RegisteredCheck[StudyToCheck, Check]):
    """A check of studies; calling it with a StudyToCheck gives a Check."""


def passed(message: str) -> Result:
    """Nothing is wrong; the message says what was looked at."""
    return Result("passed", message)


def finding(message: str, severity: Severity | None = None) -> Result:
    """Something is wrong; the message says what, with numbers."""
    return Result("finding", message, severity)


def not_applicable(message: str) -> Result:
    """The study has nothing to look at; the message says why."""
    return Result("not applicable", message)


def check(
    code: str, title: str, *, severity: Severity
) -> Callable[[Callable[[StudyToCheck], Result]], StudyCheck]:
    """Register a function as a check of studies.

    Args:
        code: "NL" and three digits; a package of its own may take other letters and digits.
        title: what is true where nothing is found.
        severity: how much a finding matters, if it does not say otherwise.

    Raises:
        UsageError: another check has this code.
    """

    def decorate(examine: Callable[[StudyToCheck], Result]) -> StudyCheck:
        def run(study: StudyToCheck) -> Check:
            result = examine(study)
            return Check(code, title, result.state, result.severity or severity, result.message)

        registered = StudyCheck(code, title, severity, first_line(examine), run)
        register(registered)
        return registered

    return decorate


def listed(items: Sequence[str]) -> str:
    """The first few items in words, and how many there are beside.

    >>> listed(["a", "b", "c", "d", "e", "f"])
    'a; b; c; d; and 2 more'
    """
    shown = list(items[:_LISTED])
    if len(items) > _LISTED:
        shown.append(f"and {len(items) - _LISTED} more")
    return "; ".join(shown)
