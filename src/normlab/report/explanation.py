"""What `normlab explain` left for the page: pictures, what was said of them, and maps, by name.

STUDY/explain/pictures.json names files beside it; the page reads it without torch and without the
data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from normlab.errors import StorageError
from normlab.records.run import Frozen, Share
from normlab.records.store import atomic_write
from normlab.text import shell_command

FOLDER = "explain"
"""The folder in the study."""
FILE = "pictures.json"

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*\.(jpg|png)$")]
"""A file below the folder: letters, figures and strokes alone, so that it cannot lead out of it."""


class AnsweredPicture(Frozen):
    """A test image, its class, and what a network said of it."""

    id: str
    true: str
    said: str
    probability: Share
    picture: FileName


class Answers(Frozen):
    """Test images that one network got right and wrong, drawn at random."""

    arm: str
    run: str
    """The name of the run's folder."""
    block: int
    accuracy: Share
    """Of this run, on the test part."""
    right: tuple[AnsweredPicture, ...]
    wrong: tuple[AnsweredPicture, ...]


class ArmMap(Frozen):
    """What one arm said of an image, and the map of its evidence."""

    arm: str
    said: str
    probability: Share
    correct: bool
    overlay: FileName
    note: str = ""
    """Why there is little or no colour in it; empty where there is."""


class MappedPicture(Frozen):
    """An image beside its maps, an arm each."""

    id: str
    true: str
    picture: FileName
    maps: tuple[ArmMap, ...]


class MappedClass(Frozen):
    """A class with images that the first arm got right and wrong."""

    name: str
    why: str
    """Why this class is shown."""
    images: int
    """Test images of the class."""
    accuracy: Share | None
    correct: tuple[MappedPicture, ...]
    incorrect: tuple[MappedPicture, ...]
    notes: tuple[str, ...]


class CorruptionStrip(Frozen):
    """One image under one change: as it is, then in five strengths, side by side in one file."""

    change: str
    strengths: tuple[str, ...]
    picture: FileName


class Explanation(Frozen):
    """All that the page shows of a study's pictures."""

    arms: tuple[str, ...]
    """Arms with maps, the recommended one first."""
    answers: Answers | None
    classes: tuple[MappedClass, ...]
    key: str
    """What the colours of the maps stand for."""
    withheld: str = ""
    """Why there are no maps; empty where there are."""
    left_out: tuple[str, ...] = ()
    """What is not there, a sentence each."""
    corruptions: tuple[CorruptionStrip, ...] = ()
    automatic: bool = False
    """Whether it was made at the end of the study and not by somebody's own choices."""

    @property
    def maps(self) -> Iterator[ArmMap]:
        """Every map."""
        for one in self.classes:
            for picture in (*one.correct, *one.incorrect):
                yield from picture.maps


def write_explanation(found: Explanation, folder: Path) -> None:
    """Write it beside its pictures.

    Raises:
        StorageError: the folder cannot be written.
    """
    text = json.dumps(found.model_dump(mode="json"), indent=1, ensure_ascii=False)
    atomic_write(folder / FILE, text.encode())


def read_explanation(study: Path) -> Explanation | None:
    """What was left in a study; None where nothing was.

    Raises:
        StorageError: the file is damaged.
    """
    path = study / FOLDER / FILE
    try:
        return Explanation.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # pydantic's are some of these
        raise StorageError(
            f"{path} cannot be read; make it again with: {shell_command('explain', study)}"
        ) from error
