"""A first look at the data: a few images of every class, part by part, and the worst findings.

One file that needs no network, written before anything is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, UInt8

from normlab._version import __version__
from normlab.records.checks import SEVERITIES
from normlab.records.data_report import DataReport, Finding
from normlab.report.page.render import stylesheet, template_environment
from normlab.report.page.thumbnails import Picture, thumbnail

EACH = 6
"""Images of a class in a part."""
CLASSES = 60
"""Classes that are shown; a page of more takes long to load and nobody looks at it."""
FINDINGS = 5
"""Findings that are shown beside, the most severe first."""
PART_NAMES = {"train": "train", "val": "validation", "test": "test", "": "images"}

Pixels = Callable[[int], UInt8[np.ndarray, "s s 3"]]
"""The prepared pixels of an image by its number."""


@dataclass(frozen=True)
class Cell:
    """The images of one class in one part."""

    part: str
    count: int
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class ClassRow:
    """A class with its parts."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class ShownFinding:
    """A finding and the images that show it."""

    finding: Finding
    pictures: tuple[Picture, ...]


def render_look_page(
    report: DataReport,
    names: Sequence[str],
    labels: Int[np.ndarray, " images"],
    parts: np.ndarray,
    pixels: Pixels,
) -> str:
    """The page as HTML; every text from the data is escaped by the template."""
    own = [part for part in PART_NAMES if (parts == part).any()]
    shown = np.unique(np.linspace(0, len(report.classes) - 1, CLASSES).round().astype(int))
    rows = []
    for label in shown.tolist():
        places = [np.flatnonzero((labels == label) & (parts == part)) for part in own]
        cells = [
            _cell(PART_NAMES[part], where, names, pixels)
            for part, where in zip(own, places, strict=True)
        ]
        rows.append(ClassRow(report.classes[label], tuple(cells)))
    return (
        template_environment()
        .get_template("look.html.j2")
        .render(
            report=report,
            rows=rows,
            parts=[PART_NAMES[part] for part in own],
            findings=_worst(report, names, pixels),
            css=stylesheet(("page.css", "check.css", "look.css")),
            version=__version__,
        )
    )


def _cell(
    part: str, images: Int[np.ndarray, " chosen"], names: Sequence[str], pixels: Pixels
) -> Cell:
    """Images spread evenly over those of a class in a part: neighbours are often one scene."""
    places = np.unique(np.linspace(0, len(images) - 1, EACH).round().astype(int))
    chosen = images[places] if len(images) else images
    pictures = tuple(thumbnail(names[index], pixels(index)) for index in chosen.tolist())
    return Cell(part, len(images), pictures)


def _worst(report: DataReport, names: Sequence[str], pixels: Pixels) -> list[ShownFinding]:
    ordered = sorted(report.findings, key=lambda finding: SEVERITIES.index(finding.severity))
    wanted = {name for finding in ordered[:FINDINGS] for e in finding.evidence for name in e.names}
    places = {name: index for index, name in enumerate(names) if name in wanted}
    return [
        ShownFinding(
            finding,
            tuple(
                thumbnail(name, pixels(places[name]))
                for name in [n for e in finding.evidence for n in e.names if n in places][:EACH]
            ),
        )
        for finding in ordered[:FINDINGS]
    ]
