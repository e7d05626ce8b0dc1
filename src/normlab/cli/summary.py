"""The answer on the terminal: one table a setting, the verdict, the findings, the paths."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from normlab.stats.analysis import Analysis, ArmRow, SettingAnalysis

ENOUGH_BLOCKS = 5
"""Below it a verdict is exploratory."""


def print_analysis(analysis: Analysis, console: Console) -> None:
    """Table and verdict of every setting, then what the checks found."""
    for setting in analysis.settings:
        if len(analysis.settings) > 1:
            console.print(f"\n[bold]{setting.setting.label}[/bold]", highlight=False)
        console.print(_table(analysis, setting))
        console.print("[bold]Verdict[/bold]  ", end="")
        console.print(setting.verdict.sentence, markup=False, highlight=False)
    if analysis.findings:
        console.print("[bold]Checks[/bold]")
    for check in analysis.findings:
        console.print(f"  {check.code}  {check.message}", markup=False, highlight=False)


def print_paths(page: Path, study: Path, console: Console, *, blocks: int) -> None:
    """Where the results are and how to go on; never wrapped, so that they can be copied."""
    more = ENOUGH_BLOCKS if blocks < ENOUGH_BLOCKS else 2 * blocks
    console.print(f"Report   {page}", soft_wrap=True, markup=False, highlight=False)
    console.print(
        f"Go on    normlab run {study} --blocks {more}   (now {blocks})",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )


def count(number: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "block"), count(3, "block")
    ('1 block', '3 blocks')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _table(analysis: Analysis, setting: SettingAnalysis) -> Table:
    plan = analysis.plan.analysis
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column(plan.metric.replace("_", " "), justify="right")
    table.add_column("± sd", justify="right")
    table.add_column(f"against {plan.reference}, {100 * (1 - plan.alpha):.0f} % interval")
    table.add_column("P(better)", justify="right")
    table.add_column("time", justify="right")
    table.add_column("runs")
    for row in setting.rows:
        table.add_row(*_cells(row, plan.metric, plan.reference))
    return table


def _cells(row: ArmRow, metric: str, reference: str) -> list[str]:
    unit = 1.0 if metric == "loss" else 100.0
    digits = 3 if metric == "loss" else 1
    value = row.validation[metric]
    mean = "–" if value.mean is None else f"{unit * value.mean:.{digits}f}"
    sd = "–" if value.sd is None else f"{unit * value.sd:.{digits}f}"
    against, better = "–", "–"
    if row.arm == reference:
        against = "reference"
    elif row.comparison is not None:
        against = _difference(row, unit, digits)
        share = row.comparison.share
        better = "–" if share is None else f"{share.share:.2f}"
    time = "–" if row.relative_time is None else f"{row.relative_time:.2f}×"
    runs = ", ".join(
        f"{count} {status.replace('_', ' ')}" for status, count in row.outcomes.items()
    )
    return [row.arm, mean, sd, against, better, time, runs]


def _difference(row: ArmRow, unit: float, digits: int) -> str:
    assert row.comparison is not None
    difference = row.comparison.difference
    if difference.mean is None:
        return "–"
    text = f"{unit * difference.mean:+.{digits}f}"
    if difference.interval is not None:
        low, high = unit * difference.interval.low, unit * difference.interval.high
        text += f" [{low:+.{digits}f}, {high:+.{digits}f}]"
    return text
