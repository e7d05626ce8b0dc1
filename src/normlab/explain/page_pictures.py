"""What the page shows of a gallery: its pictures and overlays as files, and what was said of them.

pictures/0003.jpg     a photograph        pictures/0003-1.jpg   the map of the second arm on it
answers/0007.jpg      a photograph        changes/noise.jpg     one image in five strengths
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from normlab.data.dataset import Dataset
from normlab.explain.arms import ArmRun
from normlab.explain.corruptions import change
from normlab.explain.drawing import enlarged, jpeg, overlay
from normlab.explain.gallery import ArmMaps, Gallery, pixels_of
from normlab.explain.photographs import photographs
from normlab.explain.selection import ClassChoice, choose_answers
from normlab.records.robustness import CORRUPTIONS
from normlab.records.store import atomic_write
from normlab.report.explanation import (
    AnsweredPicture,
    Answers,
    ArmMap,
    CorruptionStrip,
    MappedClass,
    MappedPicture,
)

STRIP = 120
"""Side of a picture in a strip of changes, in pixels."""


def write_answers(run: ArmRun, dataset: Dataset, folder: Path, seed: int = 0) -> Answers:
    """Write the photographs of images that a run got right and wrong.

    Raises:
        UsageError: the data lack an image.
        StorageError: the folder cannot be written.
    """
    chosen = choose_answers(run.predictions, seed)
    data = run.record.spec.data
    places = [*chosen.right, *chosen.wrong]
    ids = run.predictions.ids[places]
    shown = photographs(dataset, ids, pixels_of(dataset, ids), data.resize) if places else ()
    found = []
    for number, (place, picture) in enumerate(zip(places, shown, strict=True)):
        name = f"answers/{number:04d}.jpg"
        atomic_write(folder / name, jpeg(picture.pixels))
        probabilities = run.predictions.probabilities[place]
        found.append(
            AnsweredPicture(
                id=str(run.predictions.ids[place]),
                true=data.classes[int(run.predictions.labels[place])],
                said=data.classes[int(probabilities.argmax())],
                probability=_share(probabilities.max()),
                picture=name,
            )
        )
    outcome = run.record.outcome
    assert outcome is not None
    assert outcome.test is not None
    return Answers(
        arm=run.arm,
        run=run.record.folder.name,
        block=run.record.spec.block,
        accuracy=outcome.test.accuracy,
        right=tuple(found[: len(chosen.right)]),
        wrong=tuple(found[len(chosen.right) :]),
    )


def write_maps(gallery: Gallery, folder: Path) -> tuple[MappedClass, ...]:
    """Write every photograph of the gallery and its overlays.

    Raises:
        StorageError: the folder cannot be written.
    """
    shown = {place: _mapped(gallery, n, folder) for n, place in enumerate(gallery.places)}
    return tuple(_class(choice, shown) for choice in gallery.classes)


def drawn_map(gallery: Gallery, arm: ArmMaps, number: int) -> UInt8[np.ndarray, "h w 3"]:
    """One arm's map on the photograph that it is of."""
    picture = gallery.photographs[number]
    return overlay(picture.pixels, picture.laid_on(gallery.scaled(arm, number)), seen=picture.seen)


def _mapped(gallery: Gallery, number: int, folder: Path) -> MappedPicture:
    name = f"pictures/{number:04d}"
    atomic_write(folder / f"{name}.jpg", jpeg(gallery.photographs[number].pixels))
    maps = []
    for place, arm in enumerate(gallery.arms):
        file = f"{name}-{place}.jpg"
        atomic_write(folder / file, jpeg(drawn_map(gallery, arm, number)))
        predicted = int(arm.predicted[number])
        maps.append(
            ArmMap(
                arm=arm.run.arm,
                said=gallery.names[predicted],
                probability=_share(arm.probabilities[number]),
                correct=predicted == int(gallery.labels[number]),
                overlay=file,
                note=gallery.note(arm, number),
            )
        )
    return MappedPicture(
        id=str(gallery.ids[number]),
        true=gallery.names[int(gallery.labels[number])],
        picture=f"{name}.jpg",
        maps=tuple(maps),
    )


def _class(choice: ClassChoice, shown: dict[int, MappedPicture]) -> MappedClass:
    return MappedClass(
        name=choice.name,
        why=choice.why,
        images=choice.images,
        accuracy=choice.accuracy if choice.images else None,
        correct=tuple(shown[place] for place in choice.correct),
        incorrect=tuple(shown[place] for place in choice.incorrect),
        notes=choice.notes,
    )


def write_corruptions(
    pixels: UInt8[np.ndarray, "s s 3"], folder: Path, seed: int = 0
) -> tuple[CorruptionStrip, ...]:
    """Write a strip a change: the network's input as it is, then in five strengths.

    Raises:
        StorageError: the folder cannot be written.
    """
    strips = []
    for name, strengths in CORRUPTIONS.items():
        changed = [change(pixels[None], name, level, seed)[0] for level in range(1, 6)]
        row = np.concatenate([enlarged(one, STRIP) for one in (pixels, *changed)], axis=1)
        file = f"changes/{name.replace(' ', '-')}.jpg"
        atomic_write(folder / file, jpeg(row))
        strips.append(
            CorruptionStrip(
                change=name,
                strengths=tuple(_strength(name, value) for value in strengths),
                picture=file,
            )
        )
    sheet = [np.asarray(Image.open(folder / strip.picture)) for strip in strips]
    atomic_write(folder / "changes.jpg", jpeg(np.concatenate(sheet, axis=0)))
    return tuple(strips)


def _strength(name: str, value: float) -> str:
    """A strength as people read it.

    >>> _strength("blur", 1 / 80), _strength("rotation", 20), _strength("contrast", 0.5)
    ('σ 1/80', '20°', '×0.5')
    """
    match name:
        case "blur":
            return f"σ 1/{round(1 / value)}"
        case "rotation":
            return f"{value:g}°"
        case "contrast":
            return f"×{value:g}"
        case "jpeg":
            return f"quality {value:g}"
        case "brightness":
            return f"+{value:g}"
    return f"{value:g}"


def _share(value: float) -> float:
    """A stored probability in [0, 1]: half precision may round beyond."""
    return min(1.0, max(0.0, float(value)))
