"""What the check of the data found, read from the study's data.json."""

from __future__ import annotations

from pathlib import Path

from normlab.errors import StorageError
from normlab.records.data_report import DataReport
from normlab.records.store import DATA, read_optional


def read_data_report(study: Path) -> tuple[DataReport | None, str]:
    """The report, and why there is none."""
    try:
        found = read_optional(study / DATA, DataReport)
    except StorageError as error:
        return None, f"data.json cannot be read: {error}"
    return found, "" if found is not None else "This study kept no check of its data."
