"""The picture of a running study: a table of its arms and a bar, drawn anew in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from normlab.cli.screen.console import NARROW
from normlab.cli.screen.standing import Row
from normlab.stats.data.metrics import format_value
from normlab.text import isolated

AROUND = 5
"""Lines beside the rows of the table: its head, the bar, and room for the cursor."""
NAME = 28
"""Columns of an arm's name, at most."""
GAP = 2
"""Columns between two columns of the table."""
LEAST_NOTE = 10
"""Columns below which it is not said what a run is doing."""


@dataclass(frozen=True)
class Picture:
    """What is to be seen, as plain data."""

    metric: str
    rows: Sequence[Row]
    blocks: int
    """Of the plan."""
    setting: str = ""
    """Above the table, where there are several."""
    running: Mapping[str, str] = field(default_factory=dict)
    """Arm → what its run is doing, of the setting that is shown."""
    doing: str = ""
    """What the last run that began is doing."""
    share: float = 0.0
    """Of the whole that is done, 0 to 1."""
    left: str = "?"
    notice: str = ""
    """Said beside the bar, as that somebody has asked to stop."""


def draw(picture: Picture, width: int, height: int) -> RenderableType:
    """The picture for a terminal of so many columns and lines."""
    parts: list[RenderableType] = []
    if picture.setting:
        parts.append(Text(picture.setting, style="bold", overflow="ellipsis", no_wrap=True))
    room = max(3, height - AROUND - len(parts))
    rows = list(picture.rows)
    shown = rows if len(rows) <= room else _most_telling(rows, picture, room - 1)
    parts.append(_table(picture, shown, width))
    if len(shown) < len(rows):
        parts.append(Text(f"… and {len(rows) - len(shown)} more arms", style="dim"))
    parts.append(_bar(picture, width))
    return Group(*parts)


def _most_telling(rows: Sequence[Row], picture: Picture, room: int) -> list[Row]:
    """The arms that run, and of the others the best."""
    busy = [row for row in rows if row.arm in picture.running][:room]
    others = [row for row in rows if row.arm not in picture.running][: room - len(busy)]
    chosen = {row.arm for row in (*busy, *others)}
    return [row for row in rows if row.arm in chosen]


def _table(picture: Picture, rows: Sequence[Row], width: int) -> Table:
    names = [isolated(row.arm) for row in rows]
    head = picture.metric.replace("_", " ")
    name = min(NAME, width // 3, max(cell_len(text) for text in names))
    numbers = [head, "± sd", "blocks"] if width >= NARROW else [head, "blocks"]
    note = width - name - sum(max(6, len(text)) + GAP for text in numbers) - GAP
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
    table.add_column("", width=name, no_wrap=True, overflow="ellipsis")
    for text in numbers:
        table.add_column(text, justify="right", no_wrap=True, min_width=max(6, len(text)))
    if note >= LEAST_NOTE:
        table.add_column("", no_wrap=True, overflow="ellipsis", max_width=note)
    for text, row in zip(names, rows, strict=True):
        now = picture.running.get(row.arm)
        cells = [_number(picture.metric, row.mean)]
        if width >= NARROW:
            cells.append(_number(picture.metric, row.sd))
        cells.append(f"{row.blocks}/{picture.blocks}")
        said = Text(row.note, style="dim") if now is None else Text(now)
        arm = Text(text, style="" if now is None else "bold")
        table.add_row(arm, *cells, *([said] if note >= LEAST_NOTE else []))
    return table


def _number(metric: str, value: float | None) -> str:
    return "–" if value is None else format_value(metric, value)


def _bar(picture: Picture, width: int) -> Table:
    line = Table.grid(padding=(0, 1))
    line.add_column(no_wrap=True)
    line.add_column(no_wrap=True)
    line.add_column(no_wrap=True, overflow="ellipsis")
    bar = ProgressBar(total=1.0, completed=picture.share, width=24 if width >= NARROW else 10)
    text = f"{100 * picture.share:3.0f} %  {picture.left} left"
    line.add_row(bar, Text(text), Text(picture.notice or picture.doing))
    return line
