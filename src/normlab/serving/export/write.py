"""Write an export: built beside, checked on pictures, and only then put in its place."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from normlab.errors import StorageError, UsageError
from normlab.records.run import known
from normlab.records.store import RunFolder
from normlab.serving.export.card import model_card
from normlab.serving.export.check import (
    CLOSE,
    Answers,
    CheckPictures,
    allowed,
    check_close,
    largest_difference,
    rounding_error,
)
from normlab.serving.export.folder import WEIGHTS, write_folder
from normlab.serving.export.forms import facts, need_onnx, write_onnx, write_program
from normlab.serving.export.program import Traced, trace
from normlab.serving.predictor import Predictor
from normlab.stats.data.reading import StudyRecords

FORMS = ("onnx", "torch", "folder", "hf")
"""folder and hf are one: the folder is of the Hub's form."""
SAY_THEIR_RUN = ("config.json", "model.onnx", "model.pt2")
"""Files of an export that hold the id of their run as plain text."""


@dataclass(frozen=True, eq=False)
class Export:
    """What was written, and how close it is."""

    files: tuple[Path, ...]
    differences: tuple[tuple[str, float], ...]
    """Form and the largest difference of a probability from the run's."""
    traced: Traced
    rounding: float | None
    """The network's own rounding error, where a form was further than CLOSE from the run."""


def export(
    run: Path,
    forms: Sequence[str],
    out: Path,
    check: CheckPictures,
    study: StudyRecords | None = None,
    tolerance: float | None = None,
) -> Export:
    """Export a run's network.

    Args:
        run: the run's folder.
        forms: of FORMS.
        out: the folder that gets the files; others in it stay.
        check: pictures that every form is asked.
        study: for the model card.
        tolerance: how far probabilities may be from the run's; None: as far as the network's own
            rounding explains, which for most is CLOSE (normlab.serving.export.check).

    Raises:
        UsageError: the run has no weights; a form is not exact; the folder is that of another run.
        UnknownNameError: no such form.
        MissingExtraError: ONNX's libraries are not installed.
        StorageError: the weights are damaged, or the folder cannot be written.
    """
    check_forms(forms)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; give the folder of the export with --out")
    predictor = Predictor.load(run)
    check_owner(out, predictor.spec.id, forms)
    some = torch.from_numpy(check.pictures[:8].copy())
    record = RunFolder(run).read(rows=False)
    limit = CLOSE if tolerance is None else tolerance
    rounding: float | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as made:
            for folding in (True, False):
                traced = trace(predictor, some, min(limit, CLOSE), folding=folding)
                card = model_card(record, study, traced.sizes)
                folder = Path(made) / str(folding)
                folder.mkdir()
                differences = _write(predictor, traced, run, card, forms, folder, check)
                if max(differences.values()) <= limit or not traced.folded:
                    break  # else a folded form is off by its rounding: once more without
            if tolerance is None and max(differences.values()) > limit and _in_float32(predictor):
                rounding = rounding_error(predictor, check.pictures)
                limit = allowed(rounding)
            for form, difference in differences.items():
                check_close(form, difference, limit, predictor.spec.precision)
            files = _moved(folder, out)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"cannot write {out}: {reason}; choose another with --out") from error
    return Export(files, tuple(differences.items()), traced, rounding)


def _in_float32(predictor: Predictor) -> bool:
    return predictor.spec.precision == "float32"


def _write(
    predictor: Predictor,
    traced: Traced,
    run: Path,
    card: str,
    forms: Sequence[str],
    folder: Path,
    check: CheckPictures,
) -> dict[str, float]:
    """Write all forms; form → the largest difference of its probabilities."""
    about = facts(predictor, traced)
    found = {}
    for form in dict.fromkeys("folder" if form == "hf" else form for form in forms):
        written: list[Answers]
        if form == "onnx":
            written = [write_onnx(traced, about, folder / "model.onnx")]
        elif form == "torch":
            written = [write_program(traced, about, folder / "model.pt2")]
        else:
            written = write_folder(traced, about, run, card, folder)
        found[form] = max(largest_difference(one, check) for one in written)
    return found


def check_forms(forms: Sequence[str]) -> None:
    """Raise unless every form is known, and its libraries are installed."""
    for form in forms:
        known("form of an export", form, FORMS)
    if "onnx" in forms:
        need_onnx()


def check_owner(out: Path, run: str, forms: Sequence[str]) -> None:
    """Raise a UsageError where the folder's files are not those of this run.

    Two runs in one folder would be told apart by nothing.
    """
    there = [name for name in SAY_THEIR_RUN if (out / name).is_file()]
    others = [name for name in there if run.encode() not in (out / name).read_bytes()]
    if "config.json" not in there and {"folder", "hf"} & set(forms):
        others += [name for name in ("README.md", WEIGHTS) if (out / name).exists()]
    if others:
        raise UsageError(
            f"{out} holds {others[0]}, which is not of the run {run}, and a folder is for one run; "
            "give another with --out, or remove that one"
        )


def _moved(folder: Path, out: Path) -> tuple[Path, ...]:
    out.mkdir(exist_ok=True)
    return tuple(path.replace(out / path.name) for path in sorted(folder.iterdir()))
