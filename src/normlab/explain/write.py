"""The gallery on disk: a PNG a class, a page and the facts as JSON."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from normlab._version import __version__
from normlab.explain.drawing import Tile, enlarged, overlay, sheet
from normlab.explain.gallery import Gallery, all_class_accuracies
from normlab.explain.selection import ClassChoice
from normlab.records.store import atomic_write
from normlab.report.page.render import TEMPLATES, template_environment

_OWN_TEMPLATES = Path(__file__).with_name("templates")
Faithfulness = Mapping[str, Any]
"""Arm → the numbers of `faithfulness.measure`."""


def write_gallery(
    gallery: Gallery, folder: Path, study: str, faithfulness: Faithfulness | None = None
) -> Path:
    """Write <folder>/<class>.png, index.html and explain.json; the page's path.

    Raises:
        StorageError: the folder cannot be written.
    """
    sheets = []
    for choice in gallery.classes:
        content = class_sheet(gallery, choice)
        name = f"{choice.index:03d}-{re.sub(r'[^A-Za-z0-9.-]+', '-', choice.name)[:60]}.png"
        atomic_write(folder / name, content)
        address = f"data:image/png;base64,{base64.b64encode(content).decode()}"
        sheets.append({"choice": choice, "file": name, "address": address})
    facts = gallery_facts(gallery, study, faithfulness)
    text = json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False)
    atomic_write(folder / "explain.json", text.encode())
    atomic_write(folder / "index.html", _page(facts, sheets).encode())
    return folder / "index.html"


def class_sheet(gallery: Gallery, choice: ClassChoice) -> bytes:
    """The PNG of one class: correct images, then incorrect ones."""
    number = {place: n for n, place in enumerate(gallery.places)}
    groups = [
        (heading, [_column(gallery, number[place]) for place in places])
        for heading, places in (
            ("Correctly classified", choice.correct),
            ("Incorrectly classified", choice.incorrect),
        )
        if places
    ]
    arms = ", ".join(arm.run.arm for arm in gallery.arms)
    target = {"true": "the true class", "predicted": "the predicted class"}
    right = f"{choice.accuracy:.1%} of {choice.images} images right"
    if not choice.images:
        right = "no image was evaluated"
    subtitle = (
        f"{right} · Grad-CAM of {arms} for "
        f"{target.get(gallery.options.target, gallery.options.target)}"
    )
    return sheet(choice.name, subtitle, groups)


def _column(gallery: Gallery, number: int) -> list[Tile]:
    true = gallery.names[gallery.labels[number]]
    tiles = [Tile(enlarged(gallery.pixels[number]), (Path(str(gallery.ids[number])).name, true))]
    for arm in gallery.arms:
        correct = bool(arm.predicted[number] == gallery.labels[number])
        said = f"{arm.probabilities[number]:.0%} {gallery.names[arm.predicted[number]]}"
        tiles.append(
            Tile(
                overlay(gallery.pixels[number], gallery.scaled(arm, number)),
                (said, f"{arm.run.arm}, {'correct' if correct else 'incorrect'}"),
                correct,
            )
        )
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


def _page(facts: dict[str, Any], sheets: list[dict[str, Any]]) -> str:
    environment = template_environment().overlay(loader=jinja2.FileSystemLoader(_OWN_TEMPLATES))
    css = Markup(
        (TEMPLATES / "page.css").read_text(encoding="utf-8")
        + (_OWN_TEMPLATES / "explain.css").read_text(encoding="utf-8")
    )
    return environment.get_template("explain.html.j2").render(facts=facts, sheets=sheets, css=css)
