"""The contact sheet of the data, written and named before anything is trained."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from normlab.data.dataset import Dataset
from normlab.records.data_report import DataReport
from normlab.records.store import atomic_write
from normlab.report.page.look_page import render_look_page

LOOK = "look.html"


def write_look(folder: Path, dataset: Dataset, report: DataReport, console: Console) -> None:
    """Write the page into the folder and say where it is.

    Raises:
        StorageError: the folder cannot be written.
    """
    manifest = dataset.manifest
    html = render_look_page(
        report,
        manifest.names.tolist(),
        manifest.labels,
        manifest.parts,
        lambda index: dataset.images[index],
    )
    path = folder / LOOK
    atomic_write(path, html.encode())
    line = f"Look     {path}"
    console.print(line, soft_wrap=True, markup=False, highlight=False)
