"""The answer on the terminal: one table a setting, the verdict, the findings, the paths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from normlab.stats.data.reading import StudyRecords
from normlab.stats.inference.intervals import Interval
from normlab.stats.inference.sequential import EXPLORATORY_BELOW
from normlab.stats.summary.analysis import Analysis, ArmRow, SettingAnalysis
from normlab.stats.summary.recommendation import Recommendation, recommend
from normlab.stats.summary.words.analysis_words import brief, study_words


def print_analysis(analysis: Analysis, console: Console, study: Path) -> None:
    """What to use first, then table and verdict of every setting, then what the checks found."""
    for setting in analysis.settings:
        if len(analysis.settings) > 1:
            console.print(f"\n[bold]{setting.setting.label}[/bold]", highlight=False)
        _print_recommendation(recommend(setting, str(study)), console)
        console.print(_table(analysis, setting))
        console.print("[bold]Verdict[/bold]  ", end="")
        console.print(setting.verdict.sentence, markup=False, highlight=False)
        for line in _further_lines(setting):
            console.print(line, markup=False, highlight=False)
    if analysis.findings:
        console.print("[bold]Checks[/bold]")
    for check in analysis.findings:
        console.print(f"  {check.code}  {check.message}", markup=False, highlight=False)


def print_words(study: StudyRecords, analysis: Analysis, console: Console) -> None:
    """The analysis in words, a few lines of it; the page and analysis.txt have the rest."""
    lines = brief(study_words(study, analysis))
    if not lines:
        return
    console.print("[bold]Analysis[/bold] (all of it: analysis.txt and the page)", highlight=False)
    for line in lines:
        console.print(f"  {line}", soft_wrap=True, markup=False, highlight=False)


def print_paths(page: Path, study: Path, console: Console, analysis: Analysis) -> None:
    """Where the results are and, if something is undecided, how to go on; never wrapped."""
    blocks = analysis.plan.blocks
    lines = [f"Report   {page}"]
    commands = [recommend(setting, str(study)).command for setting in analysis.settings]
    if blocks < EXPLORATORY_BELOW:
        lines.append(f"Go on    normlab run {study} --blocks {EXPLORATORY_BELOW}   (now {blocks})")
    elif any(commands):
        lines.append(f"Go on    {next(filter(None, commands))}   (now {blocks})")
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _print_recommendation(found: Recommendation, console: Console) -> None:
    """A line a question: use, level with it, not these, open."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    table.add_column()
    for mark, arms, reason in found.lines:
        if not reason:
            console.print(f"[bold]{mark:<6}[/bold]", end=" ")
            console.print(arms, markup=False, highlight=False)
        else:
            table.add_row(mark, arms, reason)
    if table.row_count:
        console.print(table)
        console.print()


def _further_lines(setting: SettingAnalysis) -> Iterator[str]:
    """Claim (b) where it is known."""
    claims = [(row.arm, row.new_images) for row in setting.rows if row.new_images is not None]
    if claims:
        parts = [f"{arm} {100 * claim.mean:+.1f} {_ends(claim.interval)}" for arm, claim in claims]
        yield f"For new images too, against {setting.verdict.reference}: {', '.join(parts)}"


def _ends(interval: Interval, unit: float = 100.0, digits: int = 1) -> str:
    return f"[{unit * interval.low:+.{digits}f}, {unit * interval.high:+.{digits}f}]"


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
    value = row.test[metric]
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
    if (interval := row.comparison.interval) is not None:
        text += f" {_ends(interval, unit, digits)}"
    return text
