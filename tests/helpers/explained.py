"""The pictures of a made-up study, as `normlab explain` leaves them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from normlab.records.store import atomic_write
from normlab.report.explanation import (
    FOLDER,
    AnsweredPicture,
    Answers,
    ArmMap,
    CorruptionStrip,
    Explanation,
    MappedClass,
    MappedPicture,
    write_explanation,
)


def explain(study: Path, arms: tuple[str, ...], classes: tuple[str, ...] = ("a", "b")) -> Path:
    """Write pictures of every kind into a study's folder, and give their folder."""
    folder = study / FOLDER

    def picture(name: str, size: tuple[int, int] = (60, 40)) -> str:
        pixels = np.random.default_rng(len(name)).integers(0, 255, (*size, 3)).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG")
        atomic_write(folder / name, buffer.getvalue())
        return name

    def answered(number: int, *, right: bool) -> AnsweredPicture:
        said = classes[0] if right else classes[-1]
        return AnsweredPicture(
            id=f"{number}.png", true=classes[0], said=said, probability=0.6,
            picture=picture(f"answers/{number:04d}.jpg"),
        )  # fmt: skip

    maps = tuple(
        ArmMap(arm=arm, said=classes[n % 2], probability=0.5, correct=n % 2 == 0,
               overlay=picture(f"pictures/0000-{n}.jpg"), note="" if n else "the map is 0")
        for n, arm in enumerate(arms)
    )  # fmt: skip
    shown = MappedPicture(
        id="7.png", true=classes[0], picture=picture("pictures/0000.jpg"), maps=maps
    )
    mapped = MappedClass(
        name=classes[0], why="most accurate", images=9, accuracy=0.5,
        correct=(shown,), incorrect=(), notes=("there is 1 correct image",),
    )  # fmt: skip
    answers = Answers(
        arm=arms[0], run="b00", block=0, accuracy=0.5,
        right=tuple(answered(n, right=True) for n in range(6)),
        wrong=tuple(answered(6 + n, right=False) for n in range(6)),
    )  # fmt: skip
    strip = CorruptionStrip(
        change="noise", strengths=("1", "2", "3", "4", "5"), picture=picture("changes/noise.jpg")
    )
    found = Explanation(
        arms=arms, answers=answers, classes=(mapped,), key="0 to 1", corruptions=(strip,)
    )
    write_explanation(found, folder)
    return folder
