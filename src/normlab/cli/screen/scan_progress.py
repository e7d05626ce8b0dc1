"""Loading data with progress on the terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from normlab.data.check.run import quick_report
from normlab.data.dataset import Dataset, load_data
from normlab.data.duplicates.near_duplicates import group_duplicates, with_duplicates
from normlab.data.scan import Progress
from normlab.records.data_report import DataReport
from normlab.records.plan import DataPlan


@dataclass(frozen=True, eq=False)
class LoadedData:
    """A source as a study takes it, and what was found in it at a glance."""

    dataset: Dataset
    report: DataReport
    look_alikes: int = 0
    """Pairs that only look alike."""
    look_alikes_stay: bool = True
    """Whether they may lie in different parts."""


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
) -> LoadedData:
    """Prepare the plan's images (or those at `location`), with copies in one group."""
    source = location or plan.source
    look_alikes = 0
    with shown_progress(console, " images") as show:
        dataset = load_data(
            source,
            plan.image_size,
            plan.resize,
            strict=strict,
            for_training=True,
            progress=show,
        )
        searched = dataset.manifest.given_groups is None or plan.pairs
        if plan.copies in ("duplicates", "look-alikes") and searched:
            grouped = group_duplicates(dataset, plan.copies, plan.pairs, progress=show)
            dataset = grouped.dataset
            look_alikes = len(grouped.pairs) - int(grouped.pairs.certain.sum())
        else:
            dataset = with_duplicates(dataset, plan.copies, plan.pairs, progress=show)
    stay = plan.copies != "look-alikes"
    return LoadedData(dataset, quick_report(dataset), look_alikes, stay)
