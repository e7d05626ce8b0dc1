"""Several drawn charts on one sheet, for a paper: a title, a legend, the charts in columns.

The charts are drawn once, for the page; drawing them again as one large chart would cost as much
as all of them together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from normlab.report.charts.colours import Stroke
from normlab.report.charts.drawing import size
from normlab.report.charts.style import INK, MUTED

GAP = 22.0
TITLE = 30.0
HEADING = 20.0
LEGEND = 26.0
_FONT = 'font-family="Helvetica, Arial, sans-serif"'


def sheet(
    title: str,
    parts: Sequence[tuple[str, str]],
    columns: int = 1,
    legend: Mapping[str, Stroke] | None = None,
) -> str:
    """One SVG of (heading, SVG) parts; an empty heading takes no space."""
    sizes = [size(svg) for _, svg in parts]
    width = max(w for w, _ in sizes)
    pieces = [_text(0, 16, title, 14, INK)]
    top = TITLE
    if legend:
        pieces.append(_legend(legend, top))
        top += LEGEND
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
    full = columns * width + (columns - 1) * GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{full:g}" height="{top:g}" viewBox="0 0 {full:g} {top:g}"><g></g>'
        + "".join(pieces)
        + "</svg>"
    )


def _own_ids(svg: str, prefix: str) -> str:
    svg = re.sub(r'\bid="(part-\d+)"', rf'id="{prefix}-\1"', svg)
    return re.sub(r"url\(#(part-\d+)\)", rf"url(#{prefix}-\1)", svg)


def _legend(strokes: Mapping[str, Stroke], top: float) -> str:
    pieces, left = [], 0.0
    for arm, stroke in strokes.items():
        dash = f' stroke-dasharray="{",".join(map(str, stroke.dash))}"' if stroke.dash else ""
        pieces.append(
            f'<line x1="{left:g}" x2="{left + 22:g}" y1="{top + 8:g}" y2="{top + 8:g}" '
            f'stroke="{stroke.colour}" stroke-width="2.5"{dash}/>'
            + _text(left + 28, top + 12, arm, 12, MUTED)
        )
        left += 44 + 7 * len(arm)
    return "".join(pieces)


def _text(x: float, y: float, text: str, points: float, colour: str) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" {_FONT} font-size="{points:g}" fill="{colour}">'
        f"{escape(text)}</text>"
    )
