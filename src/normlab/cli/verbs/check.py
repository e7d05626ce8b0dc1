"""`normlab check`: what is wrong with the data, before anything is trained on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from normlab.text import count, shell_command

if TYPE_CHECKING:
    from rich.console import Console

    from normlab.data.check.run import CheckedData
    from normlab.data.dataset import Dataset
    from normlab.data.duplicates.search_pairs import Duplicates
    from normlab.records.data_report import DataReport


def check(
    source: Annotated[
        str, typer.Argument(help="A folder with a folder per class, a CSV/TSV table, or a zip.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The folder for check.json and the page.")
    ] = None,
    fix: Annotated[
        Path | None,
        typer.Option(help="Write a table with groups and a split that does not leak (.csv)."),
    ] = None,
    copies: Annotated[
        str,
        typer.Option(
            help="What is kept together: exact (equal files), duplicates, or look-alikes too."
        ),
    ] = "duplicates",
    pairs: Annotated[
        Path | None, typer.Option(help="A pairs.csv with your decisions, written by a check.")
    ] = None,
    show_augmentation: Annotated[
        str | None, typer.Option(help="Draw what an augmentation does: light, strong, crop+erase …")
    ] = None,
) -> None:
    """Look for broken files, copies, leaks between parts, shortcuts and doubtful labels."""
    from normlab.cli.screen.console import SafeConsole
    from normlab.cli.screen.scan_progress import shown_progress
    from normlab.data.check.run import check_data
    from normlab.data.duplicates.near_duplicates import copy_level
    from normlab.errors import UsageError
    from normlab.records.run import check_augmentation

    if fix is not None and fix.suffix.lower() != ".csv":
        raise UsageError(f"--fix writes a table, and {fix} does not end in .csv; name it so")
    if show_augmentation is not None:
        check_augmentation(show_augmentation)
    console, level = SafeConsole(), copy_level(copies)
    with shown_progress(console) as progress:
        checked = check_data(source, copies=level, pairs=pairs or "", progress=progress)
    _print_findings(checked.report, console)
    folder = out or Path(f"{Path(source).stem.replace(':', '-')}-check")
    _write_results(checked, folder, console)
    if show_augmentation is not None:
        _draw_augmentation(checked.dataset, show_augmentation, folder, console)
    if fix is not None:
        from normlab.data.check.fix import write_fixed

        summary = write_fixed(checked, source, fix)
        _say(console, f"Fixed    {fix} ({summary})")
        _say(console, f"Go on    {shell_command('compare', fix)}")


def _write_results(checked: CheckedData, folder: Path, console: Console) -> None:
    """check.json, the page, a first look at the images, and every pair that was found."""
    import json

    from normlab.cli.session.first_look import write_look
    from normlab.data.duplicates.pair_file import write_pairs
    from normlab.records.store import atomic_write
    from normlab.report.page.check_page import render_check_page

    report, dataset = checked.report, checked.dataset
    index = {str(name): number for number, name in enumerate(dataset.manifest.names)}
    content = json.dumps(report.model_dump(mode="json"), indent=1, ensure_ascii=False)
    atomic_write(folder / "check.json", content.encode())
    html = render_check_page(
        report, lambda name: dataset.images[index[name]] if name in index else None
    )
    atomic_write(folder / "index.html", html.encode())
    look = write_look(folder, dataset, report)
    write_pairs(dataset.manifest, checked.duplicates, checked.decisions, folder / "pairs.csv")
    _say(console, f"Look     {look}")
    _say(console, f"Page     {folder / 'index.html'}")
    _say(console, f"Pairs    {folder / 'pairs.csv'} ({_pair_counts(checked.duplicates)})")


def _draw_augmentation(dataset: Dataset, policy: str, folder: Path, console: Console) -> None:
    """What the augmentation makes of some of the images, as a picture in the folder."""
    import io

    from normlab.data.augment.sheet import augmentation_sheet
    from normlab.records.store import atomic_write

    picture = folder / f"augmentation-{policy.replace('+', '-')}.png"
    buffer = io.BytesIO()
    augmentation_sheet(dataset.images, policy).save(buffer, "PNG")
    atomic_write(picture, buffer.getvalue())
    _say(console, f"Picture  {picture}")


def _pair_counts(pairs: Duplicates) -> str:
    certain = int(pairs.certain.sum())
    alike = len(pairs) - certain
    return f"{count(certain, 'duplicate')}, {count(alike, 'look-alike')}"


def _print_findings(report: DataReport, console: Console) -> None:
    for name, value in report.facts:
        _say(console, f"{name:<18}{value}")
    for finding in report.findings:
        console.print(f"\n[bold]{finding.code}  {finding.severity}[/bold]  ", end="")
        console.print(finding.title, markup=False, highlight=False)
        console.print(finding.message, markup=False, highlight=False)
        console.print(finding.remedy, style="dim", markup=False, highlight=False)
    if not report.findings:
        _say(console, "\nNothing was found.")
    _say(console, "\nPassed   " + ", ".join(code for code, _ in report.passed))


def _say(console: Console, line: str) -> None:
    """A line that is never wrapped, so that its paths and commands can be copied."""
    console.print(line, soft_wrap=True, markup=False, highlight=False)
