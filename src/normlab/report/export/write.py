"""Write tables and figures for a paper, each in every form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from normlab.records.store import atomic_write
from normlab.report.charts.parallel_drawing import draw_all
from normlab.report.export.formats import to_csv, to_latex, to_markdown
from normlab.report.export.table import Table


def write_table(table: Table, folder: Path) -> None:
    """The table as .md, .csv and .tex."""
    for suffix, write in (("md", to_markdown), ("csv", to_csv), ("tex", to_latex)):
        atomic_write(folder / f"{table.slug}.{suffix}", write(table).encode())


def write_figures(figures: Mapping[str, str], folder: Path) -> None:
    """Every figure as .svg, .png and .pdf."""
    for name, svg in figures.items():
        atomic_write(folder / f"{name}.svg", svg.encode())
    converted = draw_all(
        {f"{name}.png": ("png", svg) for name, svg in figures.items()}
        | {f"{name}.pdf": ("pdf", svg) for name, svg in figures.items()}
    )
    for name, content in converted.items():
        atomic_write(folder / name, content)
