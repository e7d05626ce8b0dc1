"""From an altair chart to SVG, PNG and PDF, by vl-convert: no browser and no network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import altair as alt
import vl_convert

from normlab.report.charts.compact_svg import compact
from normlab.report.charts.style import configured
from normlab.text import in_markup, visible, visible_data

SVG = "http://www.w3.org/2000/svg"
PNG_SCALE = 2.0
"""Pixels a point: sharp on paper at column width."""
WIDE = 700.0
"""A figure wider than this is printed smaller: three quarters of the scale are as sharp."""

_ID = re.compile(r'\bid="([^"]+)"')
_MARK = re.compile(r"(?:(?P<arm>.*), )?(?:block (?P<block>\d+)|median)", re.DOTALL)
"""How the charts name a mark that belongs to an arm, a block, or both."""

ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")


def to_svg(chart: alt.TopLevelMixin) -> str:
    """The chart as a standalone SVG file; the same chart always gives the same text."""
    return spec_to_svg(configured(chart))


def spec_to_svg(spec: dict[str, Any]) -> str:
    """The Vega-Lite specification, data inside, as a standalone SVG file.

    A control character in it would end the renderer, and this process with it.
    """
    svg: str = vl_convert.vegalite_to_svg(visible_data(spec), vl_version=_version())
    # the renderer goes on counting its ids from chart to chart
    for number, name in enumerate(dict.fromkeys(_ID.findall(svg))):
        svg = svg.replace(f'id="{name}"', f'id="part-{number}"')
        svg = svg.replace(f"url(#{name})", f"url(#part-{number})")
    # "1,0" is how a solid line is said where others are dashed; cutting it up is slow to paint
    return svg.replace(' stroke-dasharray="1,0"', "")


def to_png(svg: str) -> bytes:
    """The SVG as a PNG on white."""
    rect = '<rect x="-100" y="-100" width="200%" height="200%" fill="white"/>'
    on_white = svg.replace("><", f">{rect}<", 1)
    scale = PNG_SCALE * (0.75 if size(svg)[0] > WIDE else 1.0)
    png: bytes = vl_convert.svg_to_png(on_white, scale=scale)
    return png


def to_pdf(svg: str) -> bytes:
    """The SVG as a PDF of its own size, with text as text."""
    pdf: bytes = vl_convert.svg_to_pdf(svg)
    return pdf


def inline_svg(
    svg: str,
    name: str,
    description: str,
    arms: Mapping[str, int] | None = None,
    shared: bool = False,
) -> str:
    """The SVG as a part of a page: it scales, says what it shows, and shares no id with another.

    The description becomes its accessible name; texts inside were escaped by the renderer and are
    escaped again here on the way out. Marks of a block get data-block, those of an arm data-arm
    (its number in `arms`), and the horizontal axis data-axis, by which the page finds them. A
    `shared` picture can be shown again by `shown_again`.
    """
    root = ElementTree.fromstring(svg)
    prefix = re.sub(r"[^A-Za-z0-9-]+", "-", name)
    for element in root.iter():
        _mark(element, arms or {})
        for key, value in list(element.attrib.items()):
            if key == "id":
                element.set(key, f"{prefix}-{value}")
            elif "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#{prefix}-"))
    compact(root)
    if shared:
        root[-1].set("id", f"{prefix}-body")
    width = root.attrib.pop("width", None)
    root.attrib.pop("height", None)
    if width is not None:
        root.set("style", f"--width:{float(width):.0f}px")
    root.set("role", "img")
    root.set("aria-label", visible(description))
    return ElementTree.tostring(root, encoding="unicode")


def shown_again(svg: str, name: str, description: str) -> str:
    """The picture that was put in with this name and `shared`, once more at another place.

    Micro F1 is accuracy where every image has one label, so a quarter of the curves is drawn twice.
    """
    width, height = size(svg)
    prefix = re.sub(r"[^A-Za-z0-9-]+", "-", name)
    return (
        f'<svg xmlns="{SVG}" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-label="{in_markup(description)}"><use href="#{prefix}-body" /></svg>'
    )


def size(svg: str) -> tuple[float, float]:
    """Width and height of a standalone SVG, in points."""
    found = re.search(r'<svg[^>]*? width="([\d.]+)" height="([\d.]+)"', svg)
    assert found is not None
    return float(found[1]), float(found[2])


def _mark(element: ElementTree.Element, arms: Mapping[str, int]) -> None:
    label = element.get("aria-label")
    if label is None:
        return
    if "role-axis" in element.get("class", ""):
        if label.startswith("X-axis"):
            element.set("data-axis", "x")
        return
    found = _MARK.fullmatch(label)
    if found is None or "role-" in element.get("class", ""):
        return
    if found["block"] is not None:
        element.set("data-block", found["block"])
    if found["arm"] in arms:
        element.set("data-arm", str(arms[found["arm"]]))


def _version() -> str:
    """The Vega-Lite that this altair speaks, as vl-convert names it, e.g. "6.1"."""
    major_minor: Any = re.match(r"v?(\d+\.\d+)", alt.SCHEMA_VERSION)
    return str(major_minor[1])
