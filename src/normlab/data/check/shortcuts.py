"""How well the class is predicted from what should not matter.

A forest of extremely randomized trees (Geurts et al. 2006) learns the class from one family of
facts at a time, cross-validated over five folds that keep copies of a photograph together. What
it gets right beyond chance (the largest class) is open to a network too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import Float, Int, UInt8
from statsmodels.stats.proportion import proportion_confint

from normlab.data.check.base import DataToCheck, Found, check
from normlab.data.check.files import FileFacts
from normlab.data.check.finding import percent
from normlab.data.scan import Manifest
from normlab.randomness import numpy_stream
from normlab.records.checks import Severity

FOLDS = 5
LARGEST_SAMPLE = 10_000
"""Images that are looked at; a larger set is sampled."""
TREES, DEPTH, LEAF = 60, 14, 3
VISIBLE = ("border", "corner pixels", "mean colour")
"""Families that are in the pixels; the others reach a network only through the preparation."""


@dataclass(frozen=True, eq=False)
class Shortcut:
    """What one family of facts says of the class."""

    family: str
    accuracy: float
    interval: tuple[float, float]
    """Wilson 95 %."""
    chance: float
    recalls: Float[np.ndarray, " classes"]
    precisions: Float[np.ndarray, " classes"]
    images: int

    @property
    def is_finding(self) -> bool:
        """Whether even the interval's lower end wins a tenth of what chance leaves."""
        return self.interval[0] > self.chance + 0.1 * (1 - self.chance)


@check("DC020", "shortcuts: border, colour, file facts predict the class", severity="warning")
def shortcuts(data: DataToCheck) -> Iterator[Found]:
    """Whether border, corners, colour or facts of the files predict the class."""
    manifest = data.manifest
    found = measure_shortcuts(manifest, data.images, data.file_facts, manifest.groups)
    table = (
        ("family", "accuracy", "95 % interval", "chance"),
        *(
            (
                s.family,
                percent(s.accuracy),
                f"{percent(s.interval[0])} to {percent(s.interval[1])}",
                percent(s.chance),
            )
            for s in sorted(found, key=lambda s: -s.accuracy)
        ),
    )
    for shortcut in sorted(found, key=lambda s: -s.accuracy):
        if not shortcut.is_finding:
            continue
        given = np.flatnonzero((shortcut.recalls >= 0.5) & (shortcut.precisions >= 0.5))
        named = [
            f"{manifest.classes[k]} ({percent(shortcut.recalls[k])})"
            for k in given[np.argsort(-shortcut.recalls[given], kind="stable")]
        ]
        away = f" Given away: {', '.join(named[:8])}." if named else ""
        severity: Severity = "warning" if shortcut.family in VISIBLE else "note"
        yield Found(
            title=f"{_verb(shortcut.family)} the class",
            severity=severity,
            count=len(given),
            message=(
                f"From the {shortcut.family} alone, {percent(shortcut.accuracy)} of "
                f"{shortcut.images:,} images get their class (chance "
                f"{percent(shortcut.chance)}).{away}"
            ),
            remedy="Make the classes alike in this respect, or hold a test part from "
            "another source; part of any accuracy may come from it.",
            table=table,
        )


def measure_shortcuts(
    manifest: Manifest,
    images: UInt8[np.ndarray, "n s s 3"],
    facts: FileFacts,
    groups: Int[np.ndarray, " n"],
) -> list[Shortcut]:
    """Cross-validated accuracy of every family that varies at all."""
    generator = numpy_stream(0, 0, "check")
    chosen = np.arange(len(manifest))
    if len(chosen) > LARGEST_SAMPLE:
        chosen = np.sort(generator.permutation(len(chosen))[:LARGEST_SAMPLE])
    labels = manifest.labels[chosen]
    _, own = np.unique(groups[chosen], return_inverse=True)
    folds = generator.permutation(own.max(initial=0) + 1)[own] % FOLDS
    families = {**pixel_families(images, chosen), **file_families(manifest, facts, chosen)}
    return [
        _measure(family, features, labels, folds, len(manifest.classes))
        for family, features in families.items()
        if np.ptp(features, axis=0).max(initial=0) > 0
    ]


def pixel_families(
    images: UInt8[np.ndarray, "n s s 3"], chosen: Int[np.ndarray, " k"]
) -> Mapping[str, Float[np.ndarray, "k features"]]:
    """Colours of the border, of the corners and of the whole, as means and deviations."""
    size = images.shape[1]
    side, width = max(2, size // 8), max(1, size // 32)
    parts = [slice(k * size // 4, (k + 1) * size // 4) for k in range(4)]
    edges = [
        *((slice(None, width), part) for part in parts),
        *((slice(-width, None), part) for part in parts),
        *((part, slice(None, width)) for part in parts),
        *((part, slice(-width, None)) for part in parts),
    ]
    ends = (slice(None, side), slice(-side, None))
    corners = [(rows, columns) for rows in ends for columns in ends]
    whole = [(slice(None), slice(None))]
    return {
        "border": _colours(images, chosen, edges),
        "corner pixels": _colours(images, chosen, corners),
        "mean colour": _colours(images, chosen, whole),
    }


def file_families(
    manifest: Manifest, facts: FileFacts, chosen: Int[np.ndarray, " k"]
) -> Mapping[str, Float[np.ndarray, "k features"]]:
    """Size, shape, compression, EXIF and the form of the name."""
    width, height = manifest.widths[chosen], manifest.heights[chosen]
    names = [PurePosixPath(str(name)).name for name in manifest.names[chosen]]
    columns: dict[str, list[np.ndarray]] = {
        "file size": [facts.bytes[chosen]],
        "resolution": [width, height],
        "aspect ratio": [width / np.maximum(height, 1)],
        "compression": [facts.quantization[chosen], _codes(facts.formats[chosen])],
        "EXIF": [_codes(facts.cameras[chosen]), facts.orientations[chosen]],
        "file name": [
            _codes(np.array([name_pattern(name) for name in names])),
            np.array([len(name) for name in names]),
        ],
    }
    return {
        family: np.stack([column.astype(np.float64) for column in values], axis=1)
        for family, values in columns.items()
    }


def name_pattern(name: str) -> str:
    """The form of a file's name: runs of letters and digits by a sign each, punctuation kept.

    >>> name_pattern("IMG_0042-a.JPG")
    'a_9-a.a'
    """
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", name))


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """The Wilson score interval of a share (Wilson 1927), by statsmodels.

    >>> [round(end, 3) for end in wilson(5, 10)]
    [0.237, 0.763]
    """
    if trials == 0:
        return 0.0, 1.0
    low, high = proportion_confint(hits, trials, method="wilson")
    return max(0.0, float(low)), min(1.0, float(high))


def _verb(family: str) -> str:
    return f"the {family} predict{'' if family.endswith('s') else 's'}"


def _colours(
    images: UInt8[np.ndarray, "n s s 3"],
    chosen: Int[np.ndarray, " k"],
    regions: list[tuple[slice, slice]],
) -> Float[np.ndarray, "k features"]:
    blocks = []
    for first in range(0, len(chosen), 2048):
        block = images[chosen[first : first + 2048]]
        columns = []
        for rows, cols in regions:
            values = block[:, rows, cols].reshape(len(block), -1, 3).astype(np.float32)
            columns += [values.mean(1), values.std(1)]
        blocks.append(np.concatenate(columns, axis=1))
    return np.concatenate(blocks) if blocks else np.zeros((0, 1))


def _codes(values: np.ndarray) -> Int[np.ndarray, " k"]:
    codes: np.ndarray = np.unique(values, return_inverse=True)[1]
    return codes


def _measure(
    family: str,
    features: Float[np.ndarray, "k features"],
    labels: Int[np.ndarray, " k"],
    folds: Int[np.ndarray, " k"],
    classes: int,
) -> Shortcut:
    from sklearn.ensemble import ExtraTreesClassifier

    said = np.full(len(labels), -1)
    for fold in range(FOLDS):
        test = folds == fold
        if not test.any() or test.all():
            continue
        forest = ExtraTreesClassifier(
            TREES, max_depth=DEPTH, min_samples_leaf=LEAF, random_state=0, n_jobs=-1
        )
        said[test] = forest.fit(features[~test], labels[~test]).predict(features[test])
    predicted = said >= 0
    hits = int((said == labels)[predicted].sum())
    counts = np.bincount(labels, minlength=classes)
    right = np.bincount(labels[said == labels], minlength=classes)
    times_said = np.bincount(said[predicted], minlength=classes)
    trials = int(predicted.sum())
    return Shortcut(
        family=family,
        accuracy=hits / max(trials, 1),
        interval=wilson(hits, trials),
        chance=float(counts.max(initial=0)) / max(len(labels), 1),
        recalls=right / np.maximum(counts, 1),
        precisions=right / np.maximum(times_said, 1),
        images=trials,
    )
