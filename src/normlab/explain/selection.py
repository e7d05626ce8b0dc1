"""Which classes and images a gallery shows, from stored predictions: a rule, never a taste."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from normlab.errors import UsageError
from normlab.records.run import known
from normlab.records.store import Predictions

RULES = ("random", "confident", "unsure")
EACH = 6
"""Images of either kind that stand beside the answer."""


@dataclass(frozen=True)
class ClassChoice:
    """A class in the gallery, and its images as places in the predictions."""

    index: int
    name: str
    why: str
    """"asked for", "most accurate", …"""
    images: int
    """Test images of the class."""
    accuracy: float
    correct: tuple[int, ...]
    incorrect: tuple[int, ...]
    notes: tuple[str, ...]
    """What is missing: fewer images than were wanted."""


def class_accuracies(predictions: Predictions, classes: int) -> np.ndarray:
    """Share of each class's images that are right, shape (classes,); nan without images."""
    right = predictions.probabilities.argmax(1) == predictions.labels
    total = np.bincount(predictions.labels, minlength=classes)
    hits = np.bincount(predictions.labels[right], minlength=classes)
    return np.where(total > 0, hits / np.maximum(total, 1), np.nan)


def default_classes(predictions: Predictions, names: Sequence[str]) -> list[tuple[int, str]]:
    """The most and the least accurate class and the pair that is confused most often.

    The pair is the true and the predicted class with the most errors between them, in that order.
    A class comes once; ties go to the first in the order of the classes.
    """
    accuracies = class_accuracies(predictions, len(names))
    predicted = predictions.probabilities.argmax(1)
    confusion = np.zeros((len(names), len(names)), int)
    np.add.at(confusion, (predictions.labels, predicted), 1)
    np.fill_diagonal(confusion, 0)
    chosen = [
        (int(np.nanargmax(accuracies)), "most accurate"),
        (int(np.nanargmin(accuracies)), "least accurate"),
    ]
    if confusion.any():
        true, taken = divmod(int(confusion.argmax()), len(names))
        count = int(confusion[true, taken])
        chosen.append((true, f"most often confused: {count} taken for {names[taken]}"))
        chosen.append((taken, f"what {count} of {names[true]} were taken for"))
    reasons: dict[int, list[str]] = {}
    for index, why in chosen:
        reasons.setdefault(index, []).append(why)
    return [(index, "; ".join(whys)) for index, whys in reasons.items()]


def named_classes(wanted: Sequence[str], names: Sequence[str]) -> list[tuple[int, str]]:
    """The classes by name.

    Raises:
        UnknownNameError: no such class; names the nearest one.
    """
    return [
        (names.index(known("class", name, tuple(names))), "asked for")
        for name in dict.fromkeys(wanted)
    ]


def choose_images(
    predictions: Predictions,
    classes: Sequence[tuple[int, str]],
    names: Sequence[str],
    count: int,
    rule: str,
    seed: int,
) -> list[ClassChoice]:
    """For each class `count` images that are right and as many that are wrong.

    Args:
        predictions: of the arm that decides.
        classes: index and reason, see `default_classes` and `named_classes`.
        names: of all classes.
        count: images of each kind, at least 1.
        rule: "random", a draw that depends on seed and class alone; "confident" or "unsure", those
            whose predicted class has the largest or smallest probability.
        seed: of the draw.

    Raises:
        UnknownNameError: no such rule.
        UsageError: count is below 1.
    """
    known("rule", rule, RULES)
    if count < 1:
        raise UsageError(f"a gallery has at least 1 image of each kind, got {count}")
    accuracies = class_accuracies(predictions, len(names))
    right = predictions.probabilities.argmax(1) == predictions.labels
    chosen = []
    for index, why in classes:
        own = predictions.labels == index
        groups: list[tuple[int, ...]] = []
        notes: list[str] = []
        for kind, mask in (("correct", own & right), ("incorrect", own & ~right)):
            places = np.flatnonzero(mask)
            if len(places) < count:
                number = len(places) or "no"
                plural = "" if len(places) == 1 else "s"
                notes.append(f"{names[index]} has {number} {kind} image{plural}")
            groups.append(_pick(places, predictions, count, rule, [seed, index, len(groups)]))
        chosen.append(
            ClassChoice(
                index,
                names[index],
                why,
                int(own.sum()),
                float(accuracies[index]),
                groups[0],
                groups[1],
                tuple(notes),
            )
        )
    return chosen


def _pick(
    places: np.ndarray, predictions: Predictions, count: int, rule: str, seed: list[int]
) -> tuple[int, ...]:
    order = np.random.default_rng(seed).permutation(len(places))
    if rule != "random":
        certainty = predictions.probabilities[places].max(1)
        order = np.argsort(-certainty if rule == "confident" else certainty, kind="stable")
    return tuple(int(place) for place in places[order[:count]])


@dataclass(frozen=True)
class AnswerChoice:
    """Places in the predictions."""

    right: tuple[int, ...]
    wrong: tuple[int, ...]


def choose_answers(predictions: Predictions, seed: int = 0, each: int = EACH) -> AnswerChoice:
    """Images right and images wrong, of as many classes as there are.

    The order is a random one; the first image of every class comes before the second of any.
    """
    right = predictions.probabilities.argmax(1) == predictions.labels
    chosen = []
    for number, mask in enumerate((right, ~right)):
        places = np.flatnonzero(mask)
        order = np.random.default_rng([seed, number]).permutation(places)
        turn: dict[int, int] = {}
        turns = []
        for place in order.tolist():
            label = int(predictions.labels[place])
            turns.append(turn.get(label, 0))
            turn[label] = turns[-1] + 1
        first = np.argsort(turns, kind="stable")[:each] if turns else np.empty(0, int)
        chosen.append(tuple(int(place) for place in order[first]))
    return AnswerChoice(chosen[0], chosen[1])
