"""The gallery of a study: chosen images of chosen classes, with the maps of one or more arms."""

from __future__ import annotations

import time
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
from normlab.explain.photographs import Photograph, photographs
from normlab.explain.selection import (
    ClassChoice,
    choose_images,
    class_accuracies,
    default_classes,
    named_classes,
)
from normlab.records.run import known
from normlab.serving.predictor import Predictor

SCALES = ("arm", "shared", "image")
TARGETS = ("true", "predicted")
WEAK = 0.05
"""A map below this share of its scale is said to be weak."""


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
    scale: str = "arm"
    """"arm": one maximum over all maps of an arm, for the logits of two networks have no common
    unit; "shared": one over those of all arms; "image": each map its own."""


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
    photographs: tuple[Photograph, ...]
    """The pictures as they were taken, in the order of `ids`."""
    arms: tuple[ArmMaps, ...]

    def top(self, arm: ArmMaps, number: int) -> float:
        """The value that is drawn as 1 in one map, by the scale that the options ask for."""
        if self.options.scale == "shared":
            return max(float(one.maps.max()) for one in self.arms)
        return float(arm.maps.max() if self.options.scale == "arm" else arm.maps[number].max())

    def scaled(self, arm: ArmMaps, number: int) -> Float[np.ndarray, "s s"]:
        """One map in [0, 1], on the scale that the options ask for."""
        values: np.ndarray = arm.maps[number]
        top = self.top(arm, number)
        scaled: np.ndarray = values / top if top > 0 else values
        return scaled

    def note(self, arm: ArmMaps, number: int) -> str:
        """Why there is little or no colour in a map; empty where there is."""
        largest = float(arm.maps[number].max())
        if largest <= 0:
            return f"no evidence for {self.names[self.targets[number]]}: the map is 0"
        share = largest / self.top(arm, number)
        return f"weak: {share:.1%} of the scale" if share < WEAK else ""

    @property
    def key(self) -> str:
        """What the colours stand for, in words."""
        of = {
            "arm": "the largest value of the arm's maps here",
            "shared": "the largest value of all maps here",
            "image": "the map's own largest value",
        }[self.options.scale]
        target = {"true": "the true class", "predicted": "the predicted class"}
        name = target.get(self.options.target, class_named(self.options.target, self.names))
        return f"Grad-CAM, evidence for {name}: 0 is none, 1 is {of} (scale “{self.options.scale}”)"


def make_gallery(
    arms: Sequence[ArmRun],
    dataset: Dataset,
    options: GalleryOptions,
    device: torch.device | str = "cpu",
    deadline: float | None = None,
) -> Gallery:
    """Choose the images by the first arm's predictions, and map them for all arms.

    After `deadline` (by `time.monotonic`) no further arm is begun; the first one always is.

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
        photographs(dataset, ids, pixels, first.record.spec.data.resize),
        tuple(
            _arm_maps(run, ids, pixels, targets, options, device)
            for number, run in enumerate(arms)
            if number == 0 or deadline is None or time.monotonic() < deadline
        ),
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
