"""`normlab predict`: class and probabilities of images, from a study's network."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from normlab.cli import options
from normlab.cli.screen.echo import echo
from normlab.errors import DataError, UsageError
from normlab.inputs import check_input
from normlab.text import table_cell

if TYPE_CHECKING:
    import numpy as np

    from normlab.serving.predictor import Predictor

SHOWN = 20
"""Images of which a terminal shows the class; a file or a pipe gets them all."""
NEXT = 3
"""Further classes that are named beside the predicted one."""


@dataclass(frozen=True)
class Answer:
    """What was predicted of one image."""

    name: str
    probabilities: np.ndarray
    label: str | None = None
    """Its class, where it is known."""


def predict(
    study: Annotated[Path, typer.Argument(help="A study's folder, or that of one of its runs.")],
    images: Annotated[
        Path,
        typer.Argument(
            help="An image, a folder, a table with a header, a zip, or a CSV of 3072 values a line."
        ),
    ],
    arm: options.NetworkArm = "",
    block: options.NetworkBlock = None,
    out: Annotated[
        Path | None, typer.Option(help="Write a CSV here.", show_default="the terminal")
    ] = None,
    device: options.Device = "auto",
    trust_plugins: options.TrustPlugins = False,
) -> None:
    """Classify images: the class first, then probabilities; scores where the classes are known.

    A terminal gets a line an image, a pipe or --out a CSV. Classes are known from a table that has
    a column of them, or from the folders in which the images lie. A CSV of pixels (values 0 to 255,
    no header, channel by channel) gives one class id a line, in the same order.
    """
    from normlab.records.store import atomic_write
    from normlab.serving.predictor import Predictor

    if not images.exists():
        raise UsageError(f"there is no {images}; give an image, a folder or a table")
    options.use_plugins_of(study, trusted=trust_plugins)
    predictor = Predictor.load(find_run(study, arm, block), options.choose_device(device))
    if is_pixels(images):
        rows: list[Sequence[object]] = list(_class_ids(predictor, images))
        answers: list[Answer] = []
    else:
        answers = list(_answers(predictor, images))
        rows = list(_table(predictor, answers))
    lines = list(_score_lines(predictor, answers))
    if out is not None:
        content = io.StringIO(newline="")
        _write(rows, content)
        atomic_write(out, content.getvalue().encode())
        echo(f"written to {out}")
    elif answers and is_for_people():
        lines = [*_for_people(predictor, answers), *lines]
    else:
        _write(rows, sys.stdout)
    for line in lines:  # beside a CSV they go where they are not taken for a row of it
        echo(line, err=out is None and not is_for_people())


def is_for_people() -> bool:
    """Whether the output goes to a terminal."""
    return sys.stdout.isatty()


def find_run(path: Path, arm: str = "", block: int | None = None) -> Path:
    """The folder of a run: itself, or of a study the run that is recommended or asked for.

    Raises:
        UsageError: neither a run nor a study, or no run of it is finished.
        UnknownNameError: no finished run has that arm.
    """
    if (path / "spec.json").exists():
        if arm or block is not None:
            raise UsageError(f"{path} is one run; --arm and --block are for a study's folder")
        return path
    folder = path.parent if path.name == "study.toml" else path
    if not (folder / "study.toml").exists():
        raise UsageError(f"{path} is not a run; give a study's folder, or one below STUDY/runs/")
    from normlab.stats.data.reading import read_study
    from normlab.stats.summary.analysis import analyse_study
    from normlab.stats.summary.chosen_run import chosen_run

    records = read_study(folder)
    run, why = chosen_run(records, analyse_study(records), arm, block)
    if len(records.runs) > 1:
        echo(f"network  {run.spec.arm}, block {run.spec.block + 1} ({why})", err=True)
    return run.folder


def is_pixels(images: Path) -> bool:
    """Whether a file is a CSV of pixels: one whose first line is numbers alone."""
    if images.suffix.lower() != ".csv":
        return False
    with check_input(images).open(encoding="utf-8-sig", errors="replace") as file:
        first = next((line for line in file if line.strip()), "")
    return not any(letter.isalpha() for letter in first.replace("e", "").replace("nan", ""))


def _answers(predictor: Predictor, images: Path) -> Iterator[Answer]:
    """What is predicted of every image of a folder, a table or an archive, or of one.

    Raises:
        DataError: none can be read.
    """
    from normlab.data.decode import decode, quiet_pillow

    data = predictor.spec.data
    read: list[Picture] = []

    def pixels() -> Iterator[np.ndarray]:
        for picture in _pictures(images, data.classes):
            try:
                with quiet_pillow():
                    image = decode(picture.content(), data.image_size, data.resize)[0]
            except (DataError, OSError) as error:
                if picture.name == str(images):
                    raise DataError(f"{images} {error}") from None
                echo(f"normlab: {picture.name} {error}; left out", err=True)
                continue
            read.append(picture)
            yield image

    for index, probabilities in enumerate(predictor.probabilities(pixels())):
        yield Answer(read[index].name, probabilities, read[index].label)
    if not read:
        raise DataError(f"{images} has no readable image; give another")


@dataclass(frozen=True)
class Picture:
    """An image to be read."""

    name: str
    content: Callable[[], bytes]
    label: str | None
    """Its class, where it is known."""


def _pictures(images: Path, classes: Sequence[str]) -> Iterator[Picture]:
    """The images of a folder, a table or an archive, or the one itself."""
    from normlab.data.layout import is_image
    from normlab.data.sources.by_location import open_pictures

    if images.is_dir():
        for path in images_below(images):
            label = path.parent.name
            yield Picture(str(path), _reader(path), label if label in classes else None)
    elif is_image(images.name):
        yield Picture(str(images), _reader(images), None)
    else:
        source = open_pictures(images)
        for item in source.items():
            yield Picture(item.name, partial(source.read, item.name), item.label or None)


def _reader(path: Path) -> Callable[[], bytes]:
    return lambda: check_input(path).read_bytes()


def _table(predictor: Predictor, answers: Sequence[Answer]) -> Iterator[Sequence[object]]:
    """A header, then path, class and the probability of every class."""
    classes = predictor.spec.data.classes
    yield ["path", "class", *classes]
    for one in answers:
        best = classes[int(one.probabilities.argmax())]
        yield [one.name, best, *(f"{p:.6f}" for p in one.probabilities)]


def _for_people(predictor: Predictor, answers: Sequence[Answer]) -> Iterator[str]:
    """The class first, then how sure, where it is and what else it may be."""
    from normlab.text import isolated

    classes = predictor.spec.data.classes
    width = min(28, max(map(len, classes)))
    for one in answers[:SHOWN]:
        order = one.probabilities.argsort()[::-1]
        best, *rest = order[: 1 + NEXT]
        shares = 100 * one.probabilities
        others = ", ".join(f"{isolated(classes[i])} {shares[i]:.0f} %" for i in rest)
        line = (
            f"{isolated(classes[best]):<{width}} {shares[best]:3.0f} %  {one.name}  else {others}"
        )
        is_wrong = one.label not in (None, classes[best])
        yield f"{line}  (it is {isolated(str(one.label))})" if is_wrong else line
    if len(answers) > SHOWN:
        yield f"… and {len(answers) - SHOWN} more images; --out FILE.csv has them all"


def _score_lines(predictor: Predictor, answers: Sequence[Answer]) -> Iterator[str]:
    """Accuracy, F1 and confusions, where images have a class that the network knows."""
    classes = predictor.spec.data.classes
    known = [one for one in answers if one.label in classes]
    if not known:
        return
    import numpy as np

    from normlab.cli.screen.scores import score_lines

    true = np.array([classes.index(str(one.label)) for one in known])
    said = np.array([int(one.probabilities.argmax()) for one in known])
    yield from score_lines(true, said, classes)
    if len(known) < len(answers):
        yield f"{len(answers) - len(known)} of {len(answers)} images have no class that it knows"
    yield "images that the network was trained on are no test of it"


def images_below(folder: Path) -> list[Path]:
    """The images in a folder; says which other pictures are left out.

    Raises:
        DataError: there is none.
    """
    from normlab.data.layout import is_hidden, is_image
    from normlab.data.layout.left_out import left_out_notes

    names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    names = [name for name in names if not is_hidden(name)]
    images = [folder / name for name in names if is_image(name)]

    def start(name: str) -> bytes:
        with (folder / name).open("rb") as file:
            return file.read(16)

    others = [name for name in names if not is_image(name)]
    notes, _ = left_out_notes(others, (), lambda name: None, start)
    said = "; ".join(f"{note.text}; {note.remedy}" for note in notes)
    if not images:
        raise DataError(f"{folder} holds no images{f' ({said})' if said else ''}; give another")
    if said:
        echo(f"normlab: {said}", err=True)
    return sorted(images)


def _class_ids(predictor: Predictor, table: Path) -> Iterator[Sequence[object]]:
    from normlab.serving.predictor import images_of_values

    with table.open(encoding="utf-8", errors="replace", newline="") as file:
        images = images_of_values(file, predictor.spec.data, str(table))
        lines = 0
        for probabilities in predictor.probabilities(images):
            lines += 1
            yield [int(probabilities.argmax())]
    if lines == 0:
        raise DataError(f"{table} is empty; write 3·S·S values a line, without a header")


def _write(rows: Iterable[Sequence[object]], file: object) -> None:
    writer = csv.writer(file, lineterminator="\n")  # type: ignore[arg-type]
    for row in rows:
        writer.writerow([table_cell(cell) if isinstance(cell, str) else cell for cell in row])
