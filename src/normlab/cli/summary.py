"""The answer on the terminal: what to use, a table a setting, what the checks found, the paths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from normlab.cli.screen.console import NARROW, WORD, say, say_facts, say_table
from normlab.stats.data.metrics import LABELS
from normlab.stats.data.reading import StudyRecords
from normlab.stats.inference.intervals import Interval
from normlab.stats.summary.analysis import Analysis, ArmRow, SettingAnalysis
from normlab.stats.summary.further_time import seconds_of_a_block, time_to_go_on
from normlab.stats.summary.recommendation import Recommendation, recommend
from normlab.stats.summary.words.analysis_words import brief, study_words
from normlab.text import isolated, shell_command

TITLES = 3
"""Findings of the checks that are named; all are on the page in full."""


def print_answer(analysis: Analysis, console: Console, study: Path) -> list[Recommendation]:
    """What to use, then the table of every setting; what was recommended is given back."""
    found = [recommend(setting, str(study)) for setting in analysis.settings]
    for setting, recommendation in zip(analysis.settings, found, strict=True):
        console.print()
        if len(analysis.settings) > 1:
            console.print(f"[bold]{setting.setting.label}[/bold]")
        _print_recommendation(recommendation, console)
        say_table(console, _table(analysis, setting, console.width))
    console.print()
    _print_findings(analysis, console)
    return found


def print_words(study: StudyRecords, analysis: Analysis, console: Console) -> None:
    """The analysis in words, a few lines of it; the page and analysis.txt have the rest."""
    lines = brief(study_words(study, analysis))
    if not lines:
        return
    console.print("[bold]Analysis[/bold] (all of it: analysis.txt and the page)")
    for line in lines:
        console.print(f"  {line}", soft_wrap=True, markup=False)


def print_paths(
    page: Path,
    study: Path,
    console: Console,
    records: StudyRecords,
    analysis: Analysis,
    recommended: Sequence[Recommendation],
) -> None:
    """Where the results are, how to use them and, if something is open, how to go on."""
    facts = [str(page)]
    learned = not all(one.only_guesses for one in analysis.settings)
    if learned and any(run.outcome is not None and run.outcome.test for run in records.runs):
        facts.append(f"try it: {shell_command('predict', study, 'one.jpg')}")
    say_facts(console, "page", facts)
    open_ones = [one for one in recommended if one.command]
    if open_ones:
        furthest = max(open_ones, key=lambda one: one.blocks)
        took = time_to_go_on(furthest, analysis, seconds_of_a_block(records, analysis))
        say_facts(console, "go on", [furthest.command, *filter(None, [took])])


def _print_recommendation(found: Recommendation, console: Console) -> None:
    """A line a question: use, level with it, not these, open."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(max_width=max(12, console.width // 2), overflow="fold")
    table.add_column()
    narrow = console.width < NARROW
    for mark, arms, reason in found.lines:
        if not reason or narrow:
            say_facts(console, mark, [arms, *filter(None, [reason])])
        else:
            table.add_row(f"{mark:<{WORD - 2}}", Text(isolated(arms)), Text(reason))
    if table.row_count:
        say_table(console, table)
        console.print()


def _print_findings(analysis: Analysis, console: Console) -> None:
    """Errors in full, the rest by their titles."""
    errors = [check for check in analysis.findings if check.severity == "error"]
    rank = {"warning": 0, "note": 1}
    others = [check for check in analysis.findings if check.severity != "error"]
    others.sort(key=lambda check: rank.get(check.severity, 2))
    for check in errors:
        say(console, f"{'ERROR':<{WORD}}{check.code}  {check.message}")
    if others:
        named = [f"{check.code} {check.title}" for check in others[:TITLES]]
        more = [f"{len(others) - TITLES} more"] if len(others) > TITLES else []
        say_facts(console, "checks", ["not passed, see the page", *named, *more])


def _table(analysis: Analysis, setting: SettingAnalysis, width: int) -> Table:
    plan, wide = analysis.plan.analysis, width >= NARROW
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", overflow="fold")
    table.add_column(LABELS[plan.metric], justify="right")
    level = f"{100 * (1 - plan.alpha):.0f} %"
    if wide:
        table.add_column("± sd", justify="right")
    table.add_column(f"minus {plan.reference} [{level}]" if wide else f"[{level}]")
    if wide:
        table.add_column("time", justify="right")
        table.add_column("runs")
    for row in setting.rows:
        cells = _cells(row, plan.metric, plan.reference)
        table.add_row(*(cells if wide else [cells[0], cells[1], cells[3]]))
    return table


def _cells(row: ArmRow, metric: str, reference: str) -> list[Text]:
    unit = 1.0 if metric == "loss" else 100.0
    digits = 3 if metric == "loss" else 1
    value = row.test[metric]
    mean = "–" if value.mean is None else f"{unit * value.mean:.{digits}f}"
    sd = "–" if value.sd is None else f"{unit * value.sd:.{digits}f}"
    against = "–"
    if row.arm == reference:
        against = "reference"
    elif row.comparison is not None:
        against = _difference(row, unit, digits)
    time = "–" if row.relative_time is None else f"{row.relative_time:.2f}×"
    texts = [isolated(row.arm), mean, sd, against, time, ", ".join(_runs(row))]
    return [Text(text) for text in texts]


def _runs(row: ArmRow) -> Iterator[str]:
    for status, number in row.outcomes.items():
        yield f"{number} {status.replace('_', ' ')}"


def _difference(row: ArmRow, unit: float, digits: int) -> str:
    assert row.comparison is not None
    difference = row.comparison.difference
    if difference.mean is None:
        return "–"
    text = f"{unit * difference.mean:+.{digits}f}"
    if (interval := row.comparison.interval) is not None:
        text += f" {_ends(interval, unit, digits)}"
    return text


def _ends(interval: Interval, unit: float, digits: int) -> str:
    """The ends of an interval; of shares none lies beyond ±100 points, whatever t says."""
    most = 100.0 if unit == 100.0 else float("inf")
    low, high = max(unit * interval.low, -most), min(unit * interval.high, most)
    return f"[{low:+.{digits}f}, {high:+.{digits}f}]"
