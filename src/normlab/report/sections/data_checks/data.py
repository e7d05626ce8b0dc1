"""What the check of the data found, read from the study's data.json."""

from __future__ import annotations

from pathlib import Path

from normlab.records.data_report import DataReport


def read_data_report(study: Path) -> tuple[DataReport | None, str]:
    """The report, and why there is none."""
    path = study / "data.json"
    try:
        return DataReport.model_validate_json(path.read_bytes()), ""
    except FileNotFoundError:
        return None, "This study kept no check of its data."
    except (OSError, ValueError) as error:
        return None, f"data.json cannot be read: {str(error).splitlines()[0]}"
