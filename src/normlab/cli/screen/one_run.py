"""The end of `train`: how the run went, epoch by epoch, its figures, its weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from normlab.cli.screen.console import say_facts, say_table
from normlab.records.plan import StudyPlan
from normlab.records.run import METRICS, EpochRow
from normlab.records.store import RunRecord
from normlab.stats.data.metrics import LABELS, format_value
from normlab.text import shell_command

ROWS = 20
"""Epochs that are printed; of more, evenly spaced ones with the first and the last."""


def print_run(run: RunRecord, console: Console) -> None:
    """Loss and accuracy by epoch, then each metric on train, validation and test."""
    if run.rows:
        console.print()
        say_table(console, _epochs(run.rows))
    if run.outcome is not None and run.outcome.test is not None:
        console.print()
        say_table(console, _figures(run))
    console.print()


def print_run_paths(
    page: Path, folder: Path, run: RunRecord, plan: StudyPlan, console: Console
) -> None:
    """The page, the weights, and what may be done next."""
    say_facts(console, "page", [str(page)])
    weights = run.folder / "weights.safetensors"
    if weights.exists():
        say_facts(console, "weights", [str(weights)])
        say_facts(console, "try it", [shell_command("predict", folder, "one.jpg")])
    other = "gn" if run.spec.arm == "bn" else "bn"
    command = shell_command("compare", plan.data.source, "--norms", f"{run.spec.norm},{other}")
    say_facts(console, "next", [f"is another norm better? {command}"])


def spaced(rows: Sequence[EpochRow], number: int = ROWS) -> list[EpochRow]:
    """At most so many rows, evenly spaced, the first and the last among them."""
    if len(rows) <= number:
        return list(rows)
    places = {round(index * (len(rows) - 1) / (number - 1)) for index in range(number)}
    return [rows[place] for place in sorted(places)]


def _epochs(rows: Sequence[EpochRow]) -> Table:
    table = _table("epoch", "train loss", "accuracy", "validation loss", "accuracy")
    for row in spaced(rows):
        cells = [
            format_value(metric, getattr(part, metric))
            for part in (row.train, row.validation)
            for metric in ("loss", "accuracy")
        ]
        table.add_row(str(row.epoch), *cells)
    return table


def _figures(run: RunRecord) -> Table:
    table = _table("metric", "train", "validation", "test")
    outcome = run.outcome
    assert outcome is not None
    parts = (outcome.train, outcome.validation, outcome.test)
    for metric in METRICS:
        values = ("–" if p is None else format_value(metric, getattr(p, metric)) for p in parts)
        table.add_row(LABELS[metric], *values)
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table
