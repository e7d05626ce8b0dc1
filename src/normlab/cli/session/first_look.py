"""The contact sheet of the data, written before anything is trained."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from normlab.data.dataset import Dataset
from normlab.records.data_report import LOOK, DataReport
from normlab.records.store import atomic_write
from normlab.report.page.look_page import render_look_page


def write_look(folder: Path, dataset: Dataset, report: DataReport) -> Path:
    """Write the page into the folder, and give its path.

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
    return path


@contextlib.contextmanager
def taken_back_unless_agreed(look: Path | None) -> Iterator[None]:
    """Where the block ends with an exception, what was written to be looked at is removed again."""
    try:
        yield
    except BaseException:
        if look is not None:
            look.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # not empty: it was there before us
                look.parent.rmdir()
        raise
