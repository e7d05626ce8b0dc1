"""NL015: something beside the subject gives classes away."""

from __future__ import annotations

from normlab.stats.checks.base import Result, StudyToCheck, check, finding, not_applicable, passed

_SHORTCUTS = ("DC020", "DC021", "DC032", "DC033")


@check("NL015", "No shortcut in the data", severity="warning")
def shortcut(study: StudyToCheck) -> Result:
    """What was found in the data before the study: borders, corners, sizes, colours by class.

    A study looks at the prepared pixels only; `normlab check` looks at the files too.
    """
    if study.data is None:
        return not_applicable("the data were not checked")
    found = [finding for finding in study.data.findings if finding.code in _SHORTCUTS]
    if found:
        message = " ".join(f"{finding.message} ({finding.code})" for finding in found)
        return finding(message)
    return passed(
        "no class stands out by its corners, missing colour or size in the prepared images; how "
        "far border, colour and file facts give classes away is measured by normlab check alone"
    )
