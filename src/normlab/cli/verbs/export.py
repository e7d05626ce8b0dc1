"""`normlab export`: a trained network for programs that do not have normlab."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from normlab.cli import options
from normlab.cli.screen.echo import echo
from normlab.cli.verbs.predict import find_run
from normlab.errors import NormlabError, UsageError

if TYPE_CHECKING:
    from normlab.serving.export.check import CheckPictures
    from normlab.stats.data.reading import StudyRecords


def export(
    study: Annotated[Path, typer.Argument(help="A study's folder, or that of one of its runs.")],
    to: Annotated[
        list[str] | None,
        typer.Option(help="onnx, torch, folder or hf. May be repeated.", show_default="onnx"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder of the export.", show_default="STUDY-ARM-export")
    ] = None,
    arm: options.NetworkArm = "",
    block: options.NetworkBlock = None,
    data: Annotated[
        str | None,
        typer.Option(help="Where the images are now.", show_default="where the plan says"),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="How far a probability may be from the run's own.",
            show_default="1e-5, or twice the network's own rounding error",
        ),
    ] = None,
    trust_plugins: options.TrustPlugins = False,
) -> None:
    """Write a network as ONNX, a torch program or a folder for the Hub, and check it on pictures.

    Preprocessing is inside: pictures of 8 bits in, probabilities out. Nothing is written unless
    every form gives the probabilities that the run gave for its own test pictures.
    """
    from normlab.serving.export.write import check_forms
    from normlab.serving.export.write import export as write_export

    wanted = to or ["onnx"]
    check_forms(wanted)
    options.use_plugins_of(study, trusted=trust_plugins)
    run = find_run(study, arm, block)
    records = _study_of(run)
    check = _check_pictures(run, records, data)
    target = out or Path(_name(run, records))
    made = write_export(run, wanted, target, check, records, tolerance)
    traced = made.traced
    echo(
        f"network  {traced.folded} of {traced.norms} norms folded · any number of pictures, "
        f"{traced.sizes}"
    )
    for form, difference in made.differences:
        echo(f"checked  {form}: at most {difference:.1e} from the run, on {check.origin}")
    if made.rounding is not None:
        echo(f"rounding of the network itself: up to {made.rounding:.1e} from float64, on the same")
    echo(f"written  {', '.join(str(path) for path in made.files)}")


def _study_of(run: Path) -> StudyRecords | None:
    from normlab.stats.data.reading import read_study

    folder = run.resolve().parent.parent
    if not (folder / "study.toml").exists():
        return None
    shown = run.parent.parent
    return read_study(shown if (shown / "study.toml").exists() else folder)


def _name(run: Path, study: StudyRecords | None) -> str:
    import re

    from normlab.records.store import RunFolder

    arm = re.sub(r"[^\w.=-]+", "-", RunFolder(run).read_spec().arm).strip("-")
    return f"{study.folder.resolve().name if study else run.name}-{arm}-export"


def _check_pictures(run: Path, study: StudyRecords | None, data: str | None) -> CheckPictures:
    """Test pictures and what the run said of them; where they are not here, random ones."""
    import numpy as np

    from normlab.records.store import RunFolder
    from normlab.serving.export.check import PICTURES, CheckPictures
    from normlab.serving.predictor import Predictor
    from normlab.study.folder import load_study_data

    if not (run / "weights.safetensors").exists():
        raise UsageError(f"{run} has no weights; finish the run first with: normlab run STUDY")
    why = "the run is not in a study"
    said = RunFolder(run).read_predictions()
    if study is not None and said is not None:
        try:
            dataset = load_study_data(study.folder, study.plan, data)
        except (NormlabError, OSError) as error:
            if data is not None:
                raise
            why = str(error)
        else:
            places = {str(name): place for place, name in enumerate(dataset.manifest.names)}
            count = min(PICTURES, len(said.ids))
            chosen = np.linspace(0, len(said.ids) - 1, count).round().astype(int)
            own = [places[str(name)] for name in said.ids[chosen]]
            pictures = np.ascontiguousarray(dataset.images[own])
            return CheckPictures(pictures, said.probabilities[chosen], f"{count} test pictures")
    echo(f"normlab: checked on random pictures, because {why}", err=True)
    predictor = Predictor.load(run)
    side = predictor.spec.data.image_size
    random = np.random.default_rng(0).integers(0, 256, (PICTURES, side, side, 3), np.uint8)
    expected = np.stack(list(predictor.probabilities(iter(random))))
    return CheckPictures(random, expected, f"{PICTURES} random pictures")
