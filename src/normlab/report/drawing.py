"""From an altair chart to SVG and PNG, by vl-convert: no browser and no network."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import altair as alt
import vl_convert

from normlab.report.charts import configured

SVG = "http://www.w3.org/2000/svg"
PNG_SCALE = 2.0
"""Pixels a point: sharp on paper at column width."""

_ID = re.compile(r'\bid="([^"]+)"')
_LONG_NUMBER = re.compile(r"(\.\d\d)\d+")
"""Coordinates beyond a hundredth of a point: half of the page's size, and nothing to see."""

ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")


def to_svg(chart: alt.TopLevelMixin) -> str:
    """The chart as a standalone SVG file; the same chart always gives the same text."""
    svg: str = vl_convert.vegalite_to_svg(configured(chart), vl_version=_version())
    # the renderer goes on counting its ids from chart to chart
    for number, name in enumerate(dict.fromkeys(_ID.findall(svg))):
        svg = svg.replace(f'id="{name}"', f'id="part-{number}"')
        svg = svg.replace(f"url(#{name})", f"url(#part-{number})")
    return svg


def to_png(svg: str) -> bytes:
    """The SVG as a PNG on white."""
    on_white = svg.replace("><", '><rect width="100%" height="100%" fill="white"/><', 1)
    png: bytes = vl_convert.svg_to_png(on_white, scale=PNG_SCALE)
    return png


def inline_svg(svg: str, name: str, description: str) -> str:
    """The SVG as a part of a page: it scales, says what it shows, and shares no id with another.

    The description becomes its accessible name; texts inside were escaped by the renderer and are
    escaped again here on the way out.
    """
    root = ElementTree.fromstring(svg)
    prefix = re.sub(r"[^A-Za-z0-9-]+", "-", name)
    for element in root.iter():
        for key, value in list(element.attrib.items()):
            if key in ("d", "transform"):
                element.set(key, _LONG_NUMBER.sub(r"\1", value))
            elif key == "id":
                element.set(key, f"{prefix}-{value}")
            elif "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#{prefix}-"))
            elif key.startswith("aria-"):
                del element.attrib[key]
    root.attrib.pop("width", None)
    root.attrib.pop("height", None)
    root.set("role", "img")
    root.set("aria-label", description)
    return ElementTree.tostring(root, encoding="unicode")


def _version() -> str:
    """The Vega-Lite that this altair speaks, as vl-convert names it, e.g. "6.1"."""
    major_minor: Any = re.match(r"v?(\d+\.\d+)", alt.SCHEMA_VERSION)
    return str(major_minor[1])
