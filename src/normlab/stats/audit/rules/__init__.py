"""One file a rule; each has a CODE, a TITLE, whether it needs the number of images, and check()."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from normlab.stats.audit.model import PublishedTable
from normlab.stats.audit.rules import (
    au01_count,
    au02_micro_f1,
    au03_macro_f1,
    au04_identical,
    au05_two_values,
    au06_above_training,
    au07_smallest,
    au08_one_run,
    au09_confounded,
    au10_top5,
    au11_sum,
    au12_range,
)
from normlab.stats.audit.rules.base import Audited, Finding, Known


@dataclass(frozen=True)
class Rule:
    """A rule of the audit."""

    code: str
    title: str
    needs_images: bool
    check: Callable[[Audited], Iterator[Finding]]


RULES = tuple(
    Rule(module.CODE, module.TITLE, module.NEEDS_IMAGES, module.check)
    for module in (
        au01_count,
        au02_micro_f1,
        au03_macro_f1,
        au04_identical,
        au05_two_values,
        au06_above_training,
        au07_smallest,
        au08_one_run,
        au09_confounded,
        au10_top5,
        au11_sum,
        au12_range,
    )
)


@dataclass(frozen=True)
class AuditReport:
    """All findings, rule by rule, and what was not tested."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def certain(self) -> tuple[Finding, ...]:
        """The findings that no data can explain."""
        return tuple(one for one in self.findings if one.kind == "certain")

    @property
    def questions(self) -> tuple[Finding, ...]:
        """The findings that are worth asking about."""
        return tuple(one for one in self.findings if one.kind == "question")


def audit(tables: Sequence[PublishedTable], known: Known | None = None) -> AuditReport:
    """Hold tables against every rule."""
    audited = Audited(tables, known or Known())
    findings = tuple(one for rule in RULES for one in rule.check(audited))
    return AuditReport(findings, tuple(audited.notes))
