"""Drawn charts as a figure that stands alone: a title, a key, headings, a note, margins.

The charts are drawn once, for the page; drawing them again as one large chart would cost as much
as all of them together.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from normlab.report.charts.colours import Stroke
from normlab.report.charts.drawing import size
from normlab.report.charts.style import INK, MUTED
from normlab.text import in_markup

GAP = 22.0
MARGIN = 16.0
LEAST_WIDTH = 430.0
"""Points across: a title and a note need some room, also over a small chart."""
HEADING = 20.0
LEGEND = 20.0
_TITLE, _NOTE = 14.0, 11.5
_LETTER = 0.48
"""Width of a letter as a share of the size of the type, on average."""
_FONT = 'font-family="Helvetica, Arial, sans-serif"'


@dataclass(frozen=True)
class FigureText:
    """What a figure says beside its charts."""

    title: str
    note: str = ""
    """What the marks are; how many blocks there are is added to it."""


def sheet(
    title: str,
    parts: Sequence[tuple[str, str]],
    columns: int = 1,
    legend: Mapping[str, Stroke] | None = None,
    note: str = "",
) -> str:
    """One SVG of (heading, SVG) parts; an empty heading takes no space.

    Args:
        title: of the figure.
        parts: what stands above a chart (such as the name of its vertical axis), and the chart.
        columns: of charts.
        legend: the strokes of the key, where the charts have none of their own.
        note: what stands below, of any length.
    """
    sizes = [size(svg) for _, svg in parts]
    width = max(w for w, _ in sizes)
    full = max(columns * width + (columns - 1) * GAP, LEAST_WIDTH)
    pieces: list[str] = []
    top = 0.0
    for line in _wrapped(title, full, _TITLE):
        pieces.append(_text(0, top + 14, line, _TITLE, INK))
        top += 18
    top += 8
    if legend:
        rows, drawn = _legend(legend, top, full)
        pieces.append(drawn)
        top += LEGEND * rows + 6
    for start in range(0, len(parts), columns):
        row = list(zip(parts, sizes, strict=True))[start : start + columns]
        heading = HEADING if any(name for (name, _), _ in row) else 0.0
        for column, ((name, svg), (own_width, own_height)) in enumerate(row):
            left = column * (width + GAP)
            if name:
                pieces.append(_text(left, top + 13, name, 12.5, INK))
            body = _own_ids(svg, f"s{start + column}")
            pieces.append(
                body.replace("<svg ", f'<svg x="{left:g}" y="{top + heading:g}" ', 1)
                if own_width and own_height
                else ""
            )
        top += heading + max(h for _, (_, h) in row) + GAP / 2
    for line in _wrapped(note, full, _NOTE) if note else ():
        pieces.append(_text(0, top + 12, line, _NOTE, MUTED))
        top += 16
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{full + 2 * MARGIN:g}" height="{top + 2 * MARGIN:g}" '
        f'viewBox="{-MARGIN:g} {-MARGIN:g} {full + 2 * MARGIN:g} {top + 2 * MARGIN:g}"><g></g>'
        + "".join(pieces)
        + "</svg>"
    )


def _wrapped(text: str, width: float, points: float) -> list[str]:
    return textwrap.wrap(text, max(20, int(width / (_LETTER * points))))


def _own_ids(svg: str, prefix: str) -> str:
    svg = re.sub(r'\bid="(part-\d+)"', rf'id="{prefix}-\1"', svg)
    return re.sub(r"url\(#(part-\d+)\)", rf"url(#{prefix}-\1)", svg)


def _legend(strokes: Mapping[str, Stroke], top: float, width: float) -> tuple[int, str]:
    """How many rows the key has, and the key."""
    pieces, left, rows = [], 0.0, 1
    for arm, stroke in strokes.items():
        own = 44 + 7 * len(arm)
        if left and left + own > width:
            left, rows, top = 0.0, rows + 1, top + LEGEND
        dash = f' stroke-dasharray="{",".join(map(str, stroke.dash))}"' if stroke.dash else ""
        pieces.append(
            f'<line x1="{left:g}" x2="{left + 22:g}" y1="{top + 8:g}" y2="{top + 8:g}" '
            f'stroke="{stroke.colour}" stroke-width="2.5"{dash}/>'
            + _text(left + 28, top + 12, arm, 12, MUTED)
        )
        left += own
    return rows, "".join(pieces)


def _text(x: float, y: float, text: str, points: float, colour: str) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" {_FONT} font-size="{points:g}" fill="{colour}">'
        f"{in_markup(text)}</text>"
    )
