"""NL015: something beside the subject gives classes away."""

from __future__ import annotations

from normlab.records.data_report import DataReport
from normlab.stats.checks.check import Check

CODE = "NL015"
TITLE = "No shortcut in the data"

_SHORTCUTS = ("DC020", "DC021", "DC032", "DC033")


def check_shortcut(data: DataReport | None) -> Check:
    """What was found in the data before the study: borders, corners, sizes, colours by class.

    A study looks at the prepared pixels only; `normlab check` looks at the files too.
    """
    if data is None:
        return Check(CODE, TITLE, "not applicable", "warning", "the data were not checked")
    found = [finding for finding in data.findings if finding.code in _SHORTCUTS]
    if found:
        message = " ".join(f"{finding.message} ({finding.code})" for finding in found)
        return Check(CODE, TITLE, "finding", "warning", message)
    message = "no corner, border or colour gives a class away in the prepared images"
    return Check(CODE, TITLE, "passed", "warning", message)
