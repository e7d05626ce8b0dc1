"""Fewer bytes for the same picture: a page of a thousand runs is sent by mail.

What is dropped is invisible (empty paths, defaults) or stands in the page's style instead; a line
keeps every point, to a tenth of a typographic point.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

_DEFAULTS = {
    "opacity": "1",
    "stroke-opacity": "0.38",  # of a thin line: page.css says it
    "stroke-width": "0.8",
}
_NUMBER = re.compile(r"-?\d+\.\d\d+")
_POLYLINE = re.compile(r"(?:[ML]-?[\d.]+,-?[\d.]+)+")
_POINT = re.compile(r"([ML])(-?[\d.]+),(-?[\d.]+)")


def compact(root: ElementTree.Element) -> None:
    """Take out what nobody sees, in place."""
    for parent in list(root.iter()):
        for child in list(parent):
            path = child.get("d")
            if path is not None and (path == "" or "h0v0h0" in path or _is_backdrop(child)):
                parent.remove(child)
    for element in root.iter():
        for key, value in _DEFAULTS.items():
            if element.get(key) == value:
                del element.attrib[key]
        for key in ("aria-roledescription", "aria-hidden", "aria-label", "font-family", "role"):
            element.attrib.pop(key, None)
        element.attrib.pop("pointer-events", None)
        if not element.get("class", "").startswith("mark-group role-axis") and not any(
            name in element.get("class", "") for name in ("role-axis",)
        ):
            element.attrib.pop("class", None)
        for key, value in list(element.attrib.items()):
            if key == "d" and _POLYLINE.fullmatch(value):
                element.set(key, relative(value))
            elif key in ("d", "transform", "x", "y", "x1", "x2", "y1", "y2"):
                element.set(key, _NUMBER.sub(lambda found: _tenths(found[0]), value))


def relative(path: str) -> str:
    """A line through absolute points as steps from point to point; rounding does not add up.

    >>> relative("M0,39.72L8.1,61.0L16.3,60.5")
    'M0 39.7l8.1 21.3 8.2-.5'
    """
    pieces: list[str] = []
    here = (0, 0)
    for move, x, y in _POINT.findall(path):
        point = (round(10 * float(x)), round(10 * float(y)))
        if move == "M":
            pieces.append(f"M{_text(point[0])}{_join(point[1])}")
        else:
            step = f"{_text(point[0] - here[0])}{_join(point[1] - here[1])}"
            first = pieces[-1].startswith("M")
            pieces.append(f"l{step}" if first else step if step.startswith("-") else f" {step}")
        here = point
    return "".join(pieces)


def _join(tenths: int) -> str:
    text = _text(tenths)
    return text if text.startswith("-") else f" {text}"


def _text(tenths: int) -> str:
    text = f"{tenths / 10:g}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def _tenths(number: str) -> str:
    return f"{float(number):.1f}".removesuffix(".0")


def _is_backdrop(element: ElementTree.Element) -> bool:
    return element.get("class") in ("background", "foreground") and element.get("fill") is None
