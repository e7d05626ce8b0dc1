"""The page of a data check: findings with their images, in one file that needs no network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from normlab._version import __version__
from normlab.records.data_report import DataReport, Evidence, Finding
from normlab.report.page.render import stylesheet, template_environment
from normlab.report.page.thumbnails import Picture, thumbnail

Pixels = Callable[[str], UInt8[np.ndarray, "s s 3"] | None]
"""The prepared pixels of an image by its name; None where there are none."""


@dataclass(frozen=True)
class Exhibit:
    """The images of one piece of evidence."""

    pictures: tuple[Picture, ...]
    caption: str
    difference: Picture | None = None
    """Of a pair: how far the first, laid over the second, is from it."""


@dataclass(frozen=True)
class FindingSection:
    """A finding with its images."""

    finding: Finding
    exhibits: tuple[Exhibit, ...]


def render_check_page(report: DataReport, pixels: Pixels) -> str:
    """The page as HTML; every text from the data is escaped by the template."""
    css = stylesheet(("page.css", "check.css"))
    sections = [FindingSection(f, tuple(_exhibits(f.evidence, pixels))) for f in report.findings]
    return (
        template_environment()
        .get_template("check.html.j2")
        .render(report=report, sections=sections, css=css, version=__version__)
    )


def _exhibits(evidence: Sequence[Evidence], pixels: Pixels) -> list[Exhibit]:
    found = []
    for piece in evidence:
        pictures = []
        for name in piece.names:
            values = pixels(name)
            if values is not None:
                pictures.append(thumbnail(name, values))
        if pictures:
            found.append(Exhibit(tuple(pictures), piece.caption, _difference(piece, pixels)))
    return found


def _difference(piece: Evidence, pixels: Pixels) -> Picture | None:
    """|second − first laid over it|, twice as bright, black where the first shows nothing."""
    shown = [pixels(name) for name in piece.names]
    if len(piece.overlay) != 6 or len(shown) != 2:
        return None
    first, second = shown
    if first is None or second is None:
        return None
    a, b, c, d, e, f = piece.overlay
    side = first.shape[0]
    half = side / 2
    # Pillow counts from the corner, in pixels; the map counts from the centre, in half sides.
    steps = (a, b, half * (c + 1 - a - b), d, e, half * (f + 1 - d - e))
    layer = Image.fromarray(first).convert("RGBA")
    laid = np.asarray(
        layer.transform((side, side), Image.Transform.AFFINE, steps, Image.Resampling.BILINEAR)
    ).astype(np.int16)
    apart = np.abs(laid[..., :3] - second.astype(np.int16)) * 2 * (laid[..., 3:] == 255)
    name = f"difference of {' and '.join(piece.names)}"
    return thumbnail(name, apart.clip(0, 255).astype(np.uint8))
