"""Loading data with progress on the terminal, and what was found in a line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from normlab.data.check.run import quick_report
from normlab.data.dataset import Dataset, load_data
from normlab.data.duplicates.near_duplicates import with_duplicates
from normlab.data.scan import Progress
from normlab.records.data_report import DataReport
from normlab.records.plan import DataPlan

SHOWN = 5
"""Files left out that are listed by name."""


@contextlib.contextmanager
def shown_progress(console: Console, noun: str = "") -> Iterator[Progress]:
    """A progress(what, done, total) with a bar and the time left, gone when it is done."""
    bar = RichProgress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("reading", total=None)

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, description=f"{what}{noun}", completed=done, total=total)

        yield show


def load_with_progress(
    plan: DataPlan, console: Console, *, strict: bool, location: str | None = None
) -> tuple[Dataset, DataReport]:
    """Prepare the plan's images (or those at `location`) and say what there is, and what is odd."""
    source = location or plan.source
    with shown_progress(console, " images") as show:
        dataset = load_data(
            source,
            plan.image_size,
            plan.resize,
            strict=strict,
            for_training=True,
            progress=show,
        )
        dataset = with_duplicates(dataset, plan.copies, plan.pairs, progress=show)
    _describe(dataset, source, console)
    report = quick_report(dataset)
    for finding in report.findings:
        line = f"         {finding.code}  {finding.message} {finding.remedy}"
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    return dataset, report


def _describe(dataset: Dataset, source: str, console: Console) -> None:
    manifest = dataset.manifest
    notes = []
    if manifest.unreadable:
        notes.append(f"{len(manifest.unreadable)} unreadable, left out")
    if manifest.skipped:
        notes.append(f"{len(manifest.skipped)} outside the class folders, left out")
    if manifest.duplicates:
        kind = "exact copies" if manifest.duplicates == manifest.exact_duplicates else "copies"
        notes.append(f"{manifest.duplicates:,} {kind}, kept on one side of the split")
    text = f" ({'; '.join(notes)})" if notes else ""
    line = f"Data     {source}  {len(manifest.classes)} classes, {len(manifest):,} images{text}"
    console.print(line, soft_wrap=True, markup=False, highlight=False)
    for listed in (manifest.unreadable, manifest.skipped):
        for name, reason in listed[:SHOWN]:
            console.print(
                f"         {name}: {reason}", soft_wrap=True, markup=False, highlight=False
            )
        if len(listed) > SHOWN:
            console.print(f"         … and {len(listed) - SHOWN} more")
