"""The gallery on disk: a PNG a class and one of all, a page, and the facts as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from normlab._version import __version__
from normlab.explain.drawing import Tile, sheet
from normlab.explain.gallery import Gallery, all_class_accuracies
from normlab.explain.page_pictures import drawn_map, write_maps
from normlab.explain.selection import ClassChoice
from normlab.records.store import atomic_write
from normlab.report.explanation import Answers, CorruptionStrip, Explanation, write_explanation
from normlab.report.page.render import TEMPLATES, stylesheet, template_environment
from normlab.report.sections.gallery.data import gallery_view

_OWN_TEMPLATES = Path(__file__).with_name("templates")
Faithfulness = Mapping[str, Any]
"""Arm → the numbers of `faithfulness.measure`."""


@dataclass(frozen=True)
class Parts:
    """What stands beside the maps in the page."""

    answers: Answers | None = None
    corruptions: tuple[CorruptionStrip, ...] = ()
    left_out: tuple[str, ...] = ()
    automatic: bool = False


NO_PARTS = Parts()


def write_gallery(
    gallery: Gallery,
    folder: Path,
    study: str,
    faithfulness: Faithfulness | None = None,
    parts: Parts = NO_PARTS,
) -> Path:
    """Write a PNG a class and one of all, the pictures of the page, index.html and explain.json.

    Raises:
        StorageError: the folder cannot be written.
    """
    for choice in gallery.classes:
        name = f"{choice.index:03d}-{re.sub(r'[^A-Za-z0-9.-]+', '-', choice.name)[:60]}.png"
        atomic_write(folder / name, class_sheet(gallery, choice))
    atomic_write(folder / "all-classes.png", all_classes_sheet(gallery))
    facts = gallery_facts(gallery, study, faithfulness)
    text = json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False)
    atomic_write(folder / "explain.json", text.encode())
    explanation = Explanation(
        arms=tuple(arm.run.arm for arm in gallery.arms),
        answers=parts.answers,
        classes=write_maps(gallery, folder),
        key=gallery.key,
        left_out=parts.left_out,
        corruptions=parts.corruptions,
        automatic=parts.automatic,
    )
    write_explanation(explanation, folder)
    atomic_write(folder / "index.html", _page(facts, explanation, folder).encode())
    return folder / "index.html"


def class_sheet(gallery: Gallery, choice: ClassChoice) -> bytes:
    """The PNG of one class: correct images, then incorrect ones."""
    groups = [
        (f"{heading} ({len(places)})", _columns(gallery, places))
        for heading, places in (
            ("Correctly classified", choice.correct),
            ("Incorrectly classified", choice.incorrect),
        )
        if places
    ]
    return sheet(choice.name, f"{_right(choice)} · {_subtitle(gallery)}", groups, gallery.key)


def all_classes_sheet(gallery: Gallery) -> bytes:
    """One PNG of all chosen classes: correct images to the left, then incorrect ones."""
    groups = [
        (
            f"{choice.name} ({_right(choice)}): {len(choice.correct)} correct, then "
            f"{len(choice.incorrect)} incorrect",
            _columns(gallery, (*choice.correct, *choice.incorrect)),
        )
        for choice in gallery.classes
    ]
    return sheet("All chosen classes", _subtitle(gallery), groups, gallery.key)


def _right(choice: ClassChoice) -> str:
    if not choice.images:
        return "no image was evaluated"
    return f"{choice.accuracy:.1%} of {choice.images} images right"


def _subtitle(gallery: Gallery) -> str:
    arms = ", ".join(arm.run.arm for arm in gallery.arms)
    return f"Grad-CAM of {arms}, of block {gallery.arms[0].run.record.spec.block + 1}"


def _columns(gallery: Gallery, places: Sequence[int]) -> list[list[Tile]]:
    number = {place: n for n, place in enumerate(gallery.places)}
    return [_column(gallery, number[place]) for place in places]


def _column(gallery: Gallery, number: int) -> list[Tile]:
    true = gallery.names[gallery.labels[number]]
    name = Path(str(gallery.ids[number])).name
    tiles = [Tile(gallery.photographs[number].pixels, (f"is {true}", name))]
    for arm in gallery.arms:
        correct = bool(arm.predicted[number] == gallery.labels[number])
        said = f"{arm.probabilities[number]:.0%} {gallery.names[arm.predicted[number]]}"
        lines = (said, f"{arm.run.arm}, {'correct' if correct else 'incorrect'}")
        note = gallery.note(arm, number)
        tiles.append(Tile(drawn_map(gallery, arm, number), (*lines, note), correct))
    return tiles


def gallery_facts(
    gallery: Gallery, study: str, faithfulness: Faithfulness | None = None
) -> dict[str, Any]:
    """All that a reader needs to make the same gallery again, and the numbers in it."""
    options = gallery.options
    return {
        "normlab": __version__,
        "study": study,
        "method": "Grad-CAM",
        "target": options.target,
        "layers": options.layers,
        "mode": options.mode,
        "scale": options.scale,
        "choose": options.choose,
        "seed": options.seed,
        "images_wanted": options.images,
        "arms": [
            {
                "arm": arm.run.arm,
                "setting": arm.run.setting,
                "run": arm.run.record.folder.name,
                "accuracy": arm.run.accuracy,
                "layers": list(arm.layers),
                "class_accuracy": all_class_accuracies(arm.run),
            }
            for arm in gallery.arms
        ],
        "classes": [
            {
                "name": choice.name,
                "why": choice.why,
                "images": choice.images,
                "accuracy": choice.accuracy if choice.images else None,
                "notes": list(choice.notes),
            }
            for choice in gallery.classes
        ],
        "images": [_image_facts(gallery, number) for number in range(len(gallery.places))],
        "faithfulness": dict(faithfulness) if faithfulness else None,
    }


def _image_facts(gallery: Gallery, number: int) -> dict[str, Any]:
    return {
        "id": str(gallery.ids[number]),
        "true": gallery.names[gallery.labels[number]],
        "arms": {
            arm.run.arm: {
                "predicted": gallery.names[arm.predicted[number]],
                "probability": float(arm.probabilities[number]),
                "map_maximum": float(arm.maps[number].max()),
            }
            for arm in gallery.arms
        },
    }


def _page(facts: dict[str, Any], explanation: Explanation, folder: Path) -> str:
    environment = template_environment().overlay(
        loader=jinja2.FileSystemLoader((_OWN_TEMPLATES, TEMPLATES))
    )
    view = gallery_view(explanation, folder, images=None)
    return environment.get_template("explain.html.j2").render(
        facts=facts, view=view, css=stylesheet(("page.css",))
    )
