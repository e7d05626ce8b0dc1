"""The gallery of a study: chosen images of chosen classes, with the maps of one or more arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8

from normlab.data.dataset import Dataset
from normlab.errors import UsageError
from normlab.explain.arms import ArmRun
from normlab.explain.layers import choose_layers
from normlab.explain.maps import image_maps
from normlab.explain.selection import (
    ClassChoice,
    choose_images,
    class_accuracies,
    default_classes,
    named_classes,
)
from normlab.records.run import known
from normlab.serving.predictor import Predictor

SCALES = ("shared", "image")
TARGETS = ("true", "predicted")


@dataclass(frozen=True)
class GalleryOptions:
    """The choices that make a gallery: its images, layers, maps and scale."""

    classes: tuple[str, ...] = ()
    """Names; none for the most and least accurate and the most confused pair."""
    images: int = 5
    """Correct ones a class, and as many incorrect ones."""
    choose: str = "random"
    """How images are chosen: a key of `selection.RULES`."""
    seed: int = 0
    layers: str = "last-stage"
    """Which layers the maps are of: one of `layers.CHOICES`."""
    mode: str = "raw"
    """How maps are made: one of `gradcam.MODES`."""
    target: str = "true"
    """"true", "predicted", or the name of a class, which class:NAME gives in any case."""
    scale: str = "shared"
    """"shared": one maximum over all maps of all arms; "image": each map its own."""


@dataclass(frozen=True, eq=False)
class ArmMaps:
    """What one arm makes of the gallery's images, in their order."""

    run: ArmRun
    layers: tuple[str, ...]
    maps: Float[np.ndarray, "n s s"]
    predicted: np.ndarray
    """Stored with the run: class index, shape (n,)."""
    probabilities: np.ndarray
    """Probability of the predicted class, as stored with the run, shape (n,)."""


@dataclass(frozen=True, eq=False)
class Gallery:
    """Images, classes and the maps of every arm."""

    options: GalleryOptions
    names: tuple[str, ...]
    """Names of all classes."""
    classes: tuple[ClassChoice, ...]
    """Chosen classes; their images are places in the predictions of the first arm."""
    places: tuple[int, ...]
    """The place of every image of the gallery in the predictions of the first arm."""
    ids: np.ndarray
    labels: np.ndarray
    targets: tuple[int, ...]
    """The class that each map is for; of the first arm where it is the predicted one."""
    pixels: UInt8[np.ndarray, "n s s 3"]
    arms: tuple[ArmMaps, ...]

    def scaled(self, arm: ArmMaps, number: int) -> Float[np.ndarray, "s s"]:
        """One map in [0, 1], on the scale that the options ask for."""
        values: np.ndarray = arm.maps[number]
        shared = self.options.scale == "shared"
        top = max(float(a.maps.max()) for a in self.arms) if shared else float(values.max())
        scaled: np.ndarray = values / top if top > 0 else values
        return scaled


def make_gallery(
    arms: Sequence[ArmRun],
    dataset: Dataset,
    options: GalleryOptions,
    device: torch.device | str = "cpu",
) -> Gallery:
    """Choose the images by the first arm's predictions, and map them for all arms.

    Raises:
        UnknownNameError: no such class, rule, layer choice, mode, scale.
        UsageError: the data lack an image, or no image of the classes was evaluated.
        StorageError: weights that do not fit.
    """
    known("scale", options.scale, SCALES)
    first = arms[0]
    names = first.record.spec.data.classes
    chosen = (
        named_classes(options.classes, names)
        if options.classes
        else default_classes(first.predictions, names)
    )
    classes = choose_images(
        first.predictions, chosen, names, options.images, options.choose, options.seed
    )
    places = tuple(dict.fromkeys(p for c in classes for p in (*c.correct, *c.incorrect)))
    if not places:
        raise UsageError("no image of these classes was evaluated; choose other classes")
    ids = first.predictions.ids[list(places)]
    labels = first.predictions.labels[list(places)]
    pixels = pixels_of(dataset, ids)
    targets = _targets(first, places, options, names)
    return Gallery(
        options,
        names,
        tuple(classes),
        places,
        ids,
        labels,
        targets,
        pixels,
        tuple(_arm_maps(run, ids, pixels, targets, options, device) for run in arms),
    )


def class_named(target: str, names: Sequence[str]) -> str:
    """The class that a target names: class:true is the class "true"."""
    return target if target in names else target.removeprefix("class:")


def all_class_accuracies(run: ArmRun) -> dict[str, float | None]:
    """Accuracy by class of one run; None without images."""
    names = run.record.spec.data.classes
    values = class_accuracies(run.predictions, len(names))
    return {n: None if np.isnan(v) else float(v) for n, v in zip(names, values, strict=True)}


def pixels_of(dataset: Dataset, ids: np.ndarray) -> UInt8[np.ndarray, "n s s 3"]:
    """The prepared pixels of images by name.

    Raises:
        UsageError: an image is not in the data.
    """
    place = {str(name): number for number, name in enumerate(dataset.manifest.names)}
    missing = [str(name) for name in ids if str(name) not in place]
    if missing:
        raise UsageError(
            f"the data have no image {missing[0]}, which the run was evaluated on; give the "
            "study's own data with --data"
        )
    return np.stack([dataset.images[place[str(name)]] for name in ids])


def _targets(
    first: ArmRun, places: tuple[int, ...], options: GalleryOptions, names: tuple[str, ...]
) -> tuple[int, ...]:
    if options.target == "true":
        return tuple(int(label) for label in first.predictions.labels[list(places)])
    if options.target == "predicted":
        predicted = first.predictions.probabilities[list(places)].argmax(1)
        return tuple(int(label) for label in predicted)
    return (names.index(known("class", class_named(options.target, names), names)),) * len(places)


def _arm_maps(
    run: ArmRun,
    ids: np.ndarray,
    pixels: UInt8[np.ndarray, "n s s 3"],
    targets: tuple[int, ...],
    options: GalleryOptions,
    device: torch.device | str,
) -> ArmMaps:
    predictor = Predictor.load(run.record.folder, device)
    own = {str(name): number for number, name in enumerate(run.predictions.ids)}
    rows = run.predictions.probabilities[[own[str(name)] for name in ids]]
    found = image_maps(predictor, pixels, targets, options.layers, options.mode)
    layers = choose_layers(predictor.view, options.layers)
    return ArmMaps(run, layers, found.maps, rows.argmax(1), rows.max(1))
