"""`normlab explain`: where a trained network looked, for a study, a run or one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from normlab.cli import options
from normlab.cli.screen.echo import echo
from normlab.errors import DataError, UsageError

if TYPE_CHECKING:
    from normlab.explain.arms import ArmRun
    from normlab.explain.gallery import Gallery, GalleryOptions
    from normlab.study.study import Study

ClassNames = Annotated[
    list[str] | None,
    typer.Option(
        help="With commas; a name that has one in quotes or by itself, may be repeated. Else most "
        "and least accurate, most confused pair."
    ),
]


def explain(
    target: Annotated[Path, typer.Argument(help="A study's folder, or a run's.")],
    image: Annotated[Path | None, typer.Argument(help="One picture, for a run.")] = None,
    classes: ClassNames = None,
    images: Annotated[
        int, typer.Option(min=1, max=10**6, help="Correct ones a class, and as many incorrect.")
    ] = 5,
    choose: Annotated[str, typer.Option(help="random, confident or unsure images.")] = "random",
    seed: Annotated[int, typer.Option(min=0, help="Of the random choice.")] = 0,
    arms: Annotated[
        str, typer.Option(help="Names with commas, or all; else all that learned something.")
    ] = "",
    of: Annotated[
        str, typer.Option(help="The map's class: true, predicted, a name, or class:NAME.")
    ] = "true",
    layers: Annotated[str, typer.Option(help="last-stage or last.")] = "last-stage",
    mode: Annotated[str, typer.Option(help="raw, or per-layer as pytorch-grad-cam.")] = "raw",
    scale: Annotated[
        str, typer.Option(help="arm, shared by all arms, or image: each map its own.")
    ] = "arm",
    faithfulness: Annotated[
        bool, typer.Option("--faithfulness", help="Measure whether the maps are true.")
    ] = False,
    data: Annotated[str | None, typer.Option(help="Where the study's data are now.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder, or PNG of one picture.")] = None,
    device: options.Device = "auto",
    trust_plugins: options.TrustPlugins = False,
) -> None:
    """Grad-CAM: pictures with the places that spoke for a class.

    Of a study: correctly and incorrectly classified test images of chosen classes, as PNG
    and as a page in STUDY/explain/. Of a run and one picture: its classes and its map.
    """
    if not target.exists():
        raise UsageError(f"there is no {target}; give a study's folder or a run's")
    chosen_device = options.choose_device(device)
    options.use_plugins_of(target, trusted=trust_plugins)
    if image is not None:
        _one_picture(target, image, of, layers, mode, out, chosen_device)
        return
    from normlab.explain.arms import choose_arms, run_of
    from normlab.explain.gallery import GalleryOptions
    from normlab.study.study import Study

    wanted = options.split_list(arms)
    is_run = (target / "spec.json").exists()
    if is_run and wanted:
        raise UsageError("--arms is for a study, and this is one run; leave it out")
    study = Study.open(target.resolve().parents[1] if is_run else target)
    runs = [run_of(study.folder, target)] if is_run else choose_arms(study.folder, wanted)
    settings = GalleryOptions(
        classes=_classes(classes or (), runs[0]),
        images=images,
        choose=choose,
        seed=seed,
        layers=layers,
        mode=mode,
        target=of,
        scale=scale,
    )
    _explain_study(
        study, runs, settings, chosen=is_run or bool(wanted),
        data=data, out=out, device=chosen_device, faithfulness=faithfulness,
    )  # fmt: skip


def _classes(asked: Sequence[str], run: ArmRun) -> tuple[str, ...]:
    """The names of classes that were asked for, whether or not there will be maps.

    Raises:
        UnknownNameError: no such class.
    """
    from normlab.explain.selection import named_classes

    there = run.record.spec.data.classes
    names = options.split_names(asked, there)
    named_classes(names, there)
    return names


def _explain_study(
    study: Study,
    runs: list[ArmRun],
    settings: GalleryOptions,
    *,
    chosen: bool,
    data: str | None,
    out: Path | None,
    device: str,
    faithfulness: bool,
) -> None:
    """Write the pictures of some runs and say which they are.

    Maps of a study that learned nothing are withheld unless somebody has `chosen` the runs.
    """
    from normlab.explain.arms import not_shown, nothing_learned
    from normlab.explain.gallery import make_gallery
    from normlab.explain.study_pictures import write_study_pictures

    dataset = study.load_data(data)
    why = "" if chosen else nothing_learned(study.folder)
    gallery = None if why else make_gallery(runs, dataset, settings, device)
    written = write_study_pictures(
        study, dataset, runs, settings,
        folder=out, device=device, gallery=gallery, withheld=why,
        faithfulness=_faithfulness(gallery, device) if faithfulness and gallery else None,
        left_out=() if chosen else not_shown(study.folder, runs),
    )  # fmt: skip
    if gallery is None:
        echo(f"No maps  {why} (name arms with --arms to see them all the same)")
        return
    _print_choices(gallery, settings.images)
    echo(f"Page     {written.page}")


def _faithfulness(gallery: Gallery, device: str) -> dict[str, dict[str, Any]]:
    """Measure and print whether the maps of each arm are true."""
    from normlab.explain.faithfulness import measure, table

    found = {arm.run.arm: measure(gallery, arm, device) for arm in gallery.arms}
    for arm, numbers in found.items():
        echo(f"{arm}\n{table(numbers)}")
    return found


def _print_choices(gallery: Gallery, images: int) -> None:
    """Which runs and classes were chosen, and where there were fewer images than wanted."""
    for run in (arm.run for arm in gallery.arms):
        right = f"{100 * run.accuracy:.1f} % of its test images right"
        echo(f"{run.arm}  run {run.record.folder.name}, {right}")
    for choice in gallery.classes:
        echo(
            f"{choice.name}  {choice.why}: {len(choice.correct)} correct, "
            f"{len(choice.incorrect)} incorrect"
        )
        for note in choice.notes:
            echo(f"  {note}; {images} were wanted")


def _one_picture(
    target: Path, image: Path, of: str, layers: str, mode: str, out: Path | None, device: str
) -> None:
    from normlab.cli.verbs.predict import find_run
    from normlab.data.decode import decode, quiet_pillow
    from normlab.explain.arms import check_finished
    from normlab.explain.drawing import overlay, png
    from normlab.explain.gallery import TARGETS, class_named
    from normlab.explain.maps import image_maps
    from normlab.explain.photographs import photograph
    from normlab.records.run import known
    from normlab.records.store import RunFolder, atomic_write
    from normlab.serving.predictor import Predictor

    if not image.is_file():
        raise UsageError(f"there is no {image}; give a picture")
    run = find_run(target)
    check_finished(RunFolder(run).read())
    predictor = Predictor.load(run, device)
    spec = predictor.spec.data
    try:
        with quiet_pillow():
            pixels = decode(image.read_bytes(), spec.image_size, spec.resize)[0]
            large = photograph(image.read_bytes(), spec.resize)
    except DataError as error:
        raise DataError(f"{image} {error}") from None
    # Of one picture the true class is not known: "true" means the predicted one here.
    named = of not in TARGETS
    name = known("class", class_named(of, spec.classes), spec.classes) if named else ""
    targets = [spec.classes.index(name)] if named else None
    found = image_maps(predictor, pixels[None], targets, layers, mode)
    order = found.probabilities[0].argsort()[::-1]
    for index in order[:5]:
        echo(f"{found.probabilities[0, index]:7.1%}  {spec.classes[index]}")
    top = float(found.maps.max())
    scaled = found.maps[0] / top if top > 0 else found.maps[0]
    drawn = overlay(large.pixels, large.laid_on(scaled), seen=large.seen)
    path = out or Path(f"{image.stem}-explained.png")
    atomic_write(path, png(drawn))
    shown = name if named else spec.classes[order[0]]
    echo(f"Map of {shown}: {path}")
    if top <= 0:
        echo(f"No colour in it: the network has no evidence for {shown} here")
