"""`normlab predict`: class and probabilities of images, from a finished run."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from normlab.cli import options
from normlab.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from normlab.serving.predictor import Predictor


def predict(
    run: Annotated[Path, typer.Argument(help="A run's folder, or a study with one run.")],
    images: Annotated[
        Path,
        typer.Argument(help="An image, a folder of images, or a CSV of 3072 values a line (CHW)."),
    ],
    out: Annotated[Path | None, typer.Option(help="Write here instead of to the terminal.")] = None,
    device: options.Device = "auto",
    trust_plugins: options.TrustPlugins = False,
) -> None:
    """Classify images: a CSV with class and probabilities.

    A CSV of pixels (values 0 to 255, no header, channel by channel) gives one class id a line, in
    the same order.
    """
    from normlab.records.store import atomic_write
    from normlab.serving.predictor import Predictor

    if not images.exists():
        raise UsageError(f"there is no {images}; give an image, a folder or a CSV of pixels")
    options.use_plugins_of(run, trusted=trust_plugins)
    predictor = Predictor.load(find_run(run), options.choose_device(device))
    if images.suffix.lower() == ".csv":
        rows: Iterable[Sequence[object]] = _class_ids(predictor, images)
    else:
        rows = _table(predictor, images)
    if out is None:
        _write(rows, sys.stdout)
        return
    content = io.StringIO(newline="")
    _write(rows, content)
    atomic_write(out, content.getvalue().encode())
    typer.echo(f"written to {out}")


def find_run(path: Path) -> Path:
    """The folder of a run: itself, or the only run of a study.

    Raises:
        UsageError: neither a run nor a study with exactly one.
    """
    if (path / "spec.json").exists():
        return path
    runs = sorted(p.parent for p in (path / "runs").glob("*/spec.json"))
    if len(runs) == 1:
        return runs[0]
    if runs:
        names = ", ".join(run.name for run in runs[:3])
        raise UsageError(f"{path} has {len(runs)} runs; name one: {path}/runs/{{{names}, …}}")
    raise UsageError(f"{path} is not a run; give a folder below STUDY/runs/")


def _table(predictor: Predictor, images: Path) -> Iterator[Sequence[object]]:
    """A header, then path, class and the probability of every class."""
    from normlab.data.decode import decode, quiet_pillow

    paths = images_below(images) if images.is_dir() else [images]
    data = predictor.spec.data
    read: list[Path] = []

    def pixels() -> Iterator[np.ndarray]:
        for path in paths:
            try:
                with quiet_pillow():
                    image = decode(path.read_bytes(), data.image_size, data.resize)[0]
            except (DataError, OSError) as error:
                if path is images:
                    raise DataError(f"{path} {error}") from None
                typer.echo(f"normlab: {path} {error}; left out", err=True)
                continue
            read.append(path)
            yield image

    yield ["path", "class", *data.classes]
    for index, probabilities in enumerate(predictor.probabilities(pixels())):
        best = data.classes[int(probabilities.argmax())]
        yield [str(read[index]), best, *(f"{p:.6f}" for p in probabilities)]


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
        typer.echo(f"normlab: {said}", err=True)
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
    writer.writerows(rows)
