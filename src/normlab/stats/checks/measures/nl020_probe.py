"""NL020: the short run before the study stayed at chance."""

from __future__ import annotations

from normlab.records.data_report import probe_text, proposals_text
from normlab.stats.checks.base import Result, StudyToCheck, check, finding, not_applicable, passed


@check("NL020", "The probe before the study learned something", severity="warning")
def probe_at_chance(study: StudyToCheck) -> Result:
    """The validation part after some seconds of one arm, against guessing the largest class."""
    if study.probe is None:
        return not_applicable("no probe was made")
    text = f"Before the study: {probe_text(study.probe)}"
    if study.probe.learned:
        return passed(text)
    if study.probe.is_too_short:
        return not_applicable(text)
    return finding(f"{text}; {proposals_text(study.probe)}".removesuffix("; "))
