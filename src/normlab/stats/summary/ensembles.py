"""Ensembles out of stored predictions: the mean of the probabilities over blocks, arms, or both.

    ECE = Σ_b n_b/N · |accuracy of bin b − mean confidence of bin b|

over 15 bins of equal width of the confidence, the largest probability of an image (Guo et al. 2017,
section 2). Members and ensembles are measured on the same images. The gain of an ensemble over the
mean of its members has a t interval over the images: for new images, and these networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from normlab.stats.data.layout import Layout
from normlab.stats.data.setting import Setting
from normlab.stats.inference.intervals import (
    PairedDifference,
    Summary,
    paired_difference,
    summarise,
)
from normlab.stats.summary.classes import Collected

BINS = 15
SMALLEST = 1e-12
"""A probability is taken for at least this in the loss: a float32 may round to 0."""

Probabilities = Float[np.ndarray, "images classes"]


@dataclass(frozen=True, eq=False)
class Reliability:
    """Accuracy and mean confidence of the images in each bin of confidence; nan where none is."""

    count: Int[np.ndarray, " bins"]
    confidence: Float[np.ndarray, " bins"]
    accuracy: Float[np.ndarray, " bins"]

    @property
    def ece(self) -> float:
        """The expected calibration error, in [0, 1]."""
        some = self.count > 0
        gap = np.abs(self.accuracy[some] - self.confidence[some])
        return float((self.count[some] * gap).sum() / self.count.sum())


@dataclass(frozen=True)
class Quality:
    """How good the probabilities of one network, or of one ensemble, are."""

    accuracy: float
    loss: float
    """Cross-entropy, nats."""
    ece: float


@dataclass(frozen=True, eq=False)
class Ensemble:
    """One way to average: over the blocks of an arm, the arms of a block, or everything."""

    name: str
    kind: str
    """"blocks", "arms" or "all"."""
    members: int
    """Networks in one ensemble."""
    ensembles: int
    """How many there are of this kind: one, or one a block."""
    member: Mapping[str, Summary]
    """accuracy, loss, ece of the members."""
    ensemble: Mapping[str, Summary]
    """accuracy, loss, ece of the ensembles; the standard deviation is over blocks."""
    gain: PairedDifference | None
    """The gain in accuracy of a single ensemble over the mean of its members."""
    reliability: tuple[Reliability, Reliability]
    """The reliability of all members together, and of all ensembles together."""


@dataclass(frozen=True, eq=False)
class EnsembleTable:
    """The ensembles of one setting."""

    setting: Setting
    images: int
    ensembles: tuple[Ensemble, ...]


def ensemble_table(layout: Layout, collected: Collected, alpha: float) -> EnsembleTable | None:
    """Every ensemble of at least two networks; None where there is none."""
    found = {cell: p.probabilities.astype(float) for cell, (p, _) in collected.found.items()}
    if not found:
        return None
    labels = next(iter(collected.found.values()))[0].labels
    arms = [arm for arm in layout.arms if any(cell[0] == arm for cell in found)]
    blocks = sorted({block for _, block in found})
    groups: list[tuple[str, str, list[list[Probabilities]]]] = [
        (arm, "blocks", [[found[arm, b] for b in blocks if (arm, b) in found]]) for arm in arms
    ]
    by_block = [[found[arm, b] for arm in arms if (arm, b) in found] for b in blocks]
    groups.append(("all arms of a block", "arms", [g for g in by_block if len(g) == len(arms)]))
    if len(arms) > 1 and len(blocks) > 1:
        groups.append(("all arms and blocks", "all", [list(found.values())]))
    ensembles = [
        _ensemble(name, kind, members, labels, alpha)
        for name, kind, members in groups
        if members and min(map(len, members)) > 1
    ]
    if not ensembles:
        return None
    return EnsembleTable(layout.setting, len(labels), tuple(ensembles))


def _ensemble(
    name: str,
    kind: str,
    groups: Sequence[Sequence[Probabilities]],
    labels: Int[np.ndarray, " images"],
    alpha: float,
) -> Ensemble:
    means = [np.mean(group, axis=0) for group in groups]
    members = [network for group in groups for network in group]
    gain = None
    if len(groups) == 1:
        right = np.mean([network.argmax(1) == labels for network in groups[0]], axis=0)
        gain = paired_difference((means[0].argmax(1) == labels) - right, alpha)
    return Ensemble(
        name=name,
        kind=kind,
        members=len(groups[0]),
        ensembles=len(groups),
        member=_summaries(members, labels),
        ensemble=_summaries(means, labels),
        gain=gain,
        reliability=(_together(members, labels), _together(means, labels)),
    )


def quality(probabilities: Probabilities, labels: Int[np.ndarray, " images"]) -> Quality:
    """Accuracy, loss and calibration."""
    own = probabilities[np.arange(len(labels)), labels]
    return Quality(
        accuracy=float((probabilities.argmax(1) == labels).mean()),
        loss=float(-np.log(np.maximum(own, SMALLEST)).mean()),
        ece=reliability(probabilities, labels).ece,
    )


def reliability(
    probabilities: Probabilities, labels: Int[np.ndarray, " images"], bins: int = BINS
) -> Reliability:
    """The bins are (0, 1/15], (1/15, 2/15], …; a confidence lies in one of them."""
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        return Reliability(
            count,
            np.bincount(place, confidence, bins) / count,
            np.bincount(place, right, bins) / count,
        )


def _together(networks: Sequence[Probabilities], labels: Int[np.ndarray, " images"]) -> Reliability:
    return reliability(np.concatenate(networks), np.tile(labels, len(networks)))


def _summaries(
    networks: Sequence[Probabilities], labels: Int[np.ndarray, " images"]
) -> dict[str, Summary]:
    found = [quality(network, labels) for network in networks]
    return {
        name: summarise(np.array([getattr(one, name) for one in found]))
        for name in ("accuracy", "loss", "ece")
    }
