"""`normlab stress`: accuracy of a study's networks as the test images change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from normlab.cli import options
from normlab.cli.exit_codes import NOT_FINISHED
from normlab.cli.screen.echo import echo
from normlab.text import shell_command

if TYPE_CHECKING:
    from rich.console import Console

    from normlab.stats.summary.robustness import Point


def stress(
    study: Annotated[Path, typer.Argument(help="A study's folder.")],
    images: Annotated[
        int, typer.Option(min=2, max=10**9, help="At most so many test images, drawn by the seed.")
    ] = 500,
    changes: Annotated[
        str, typer.Option(help="With commas: contrast, brightness, blur, …, batch; else all.")
    ] = "",
    arms: Annotated[str, typer.Option(help="Names with commas; else all.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of the images and what is drawn.")] = 0,
    data: Annotated[str | None, typer.Option(help="Where the study's images are now.")] = None,
    device: options.Device = "auto",
    trust_plugins: options.TrustPlugins = False,
) -> None:
    """Change the test images in five strengths, and say which arm loses less.

    Contrast, brightness, blur, noise, JPEG, colour cast, rotation; and batches of 32, 8, 2 and of
    one class that normalize by their own statistics. What was measured is kept: the same command
    goes on, and the report shows it.
    """
    from normlab.cli.screen.console import SafeConsole
    from normlab.cli.screen.scan_progress import shown_progress
    from normlab.errors import InterruptedRunError
    from normlab.explain.robustness import measure_robustness
    from normlab.report.page.build import build_report
    from normlab.study.study import Study
    from normlab.train.interrupt import StopRequest

    console = SafeConsole()
    opened = Study.open(study)
    options.use_plugins_of(study, trusted=trust_plugins)
    chosen = options.choose_device(device)
    dataset = opened.load_data(data)
    with StopRequest().listening() as stop, shown_progress(console) as show:
        try:
            measure_robustness(
                opened.folder,
                dataset,
                images=images,
                seed=seed,
                arms=options.split_list(arms),
                changes=[name.strip() for name in changes.split(",") if name.strip()],
                device=chosen,
                between=stop.between,
                progress=show,
            )
        except InterruptedRunError:
            echo(
                f"Stopped  what was measured is kept; go on with: {shell_command('stress', study)}"
            )
            raise typer.Exit(NOT_FINISHED) from None
    _print(opened.folder, console)
    with console.status("drawing the report"):
        page = build_report(opened.folder)
    echo(f"Report   {page}, section “Where it breaks”")


def _print(study: Path, console: Console) -> None:
    """Points lost under each change, a table a setting, and what is shown by them."""
    from rich.table import Table

    from normlab.records.robustness import AS_IT_IS, COMPOSITION, COMPOSITIONS, read_robustness
    from normlab.report.sections.robustness.data import sentence
    from normlab.stats.data.layout import arrange
    from normlab.stats.data.reading import read_study
    from normlab.stats.summary.robustness import robustness_table

    records, rows = read_study(study), read_robustness(study)
    rules = records.plan.analysis
    for layout in arrange(records.plan, records.runs):
        found = robustness_table(layout, rows, rules.reference, rules.alpha)
        if found is None:
            continue
        table = Table("", *found.arms, box=None, pad_edge=False, header_style="bold")
        for column in table.columns[1:]:
            column.justify = "right"
        clean = [found.point(arm, AS_IT_IS, "0") for arm in found.arms]
        table.add_row("as it is, %", *(_percent(point) for point in clean))
        for name in found.changes:
            if name == COMPOSITION:
                continue
            losses = [found.loss(arm, name) for arm in found.arms]
            table.add_row(
                f"{name}, points",
                *(
                    "–" if x is None or x.loss.mean is None else f"{-100 * x.loss.mean:+.1f}"
                    for x in losses
                ),
            )
        for level in COMPOSITIONS if COMPOSITION in found.changes else ():
            points = [found.point(arm, COMPOSITION, level) for arm in found.arms]
            name = "of one class" if level == "one class" else f"of {level}"
            texts = ("as it is" if point is None else _percent(point) for point in points)
            table.add_row(f"batches {name}, %", *texts)
        console.print(f"[bold]{layout.setting.label}[/bold]", highlight=False)
        console.print(table)
        console.print(
            f"Points are a mean over five strengths; {found.images} images, {found.blocks} blocks. "
            f"{sentence(found)}",
            markup=False,
            highlight=False,
        )


def _percent(point: Point | None) -> str:
    if point is None or point.accuracy.mean is None:
        return "–"
    return f"{100 * point.accuracy.mean:.1f}"
