"""Labels that the neighbours of an image contradict."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int, UInt8

from normlab.data.check.base import DataToCheck, Found, check
from normlab.data.check.finding import percent
from normlab.records.data_report import Evidence

NEIGHBOURS = 10
AGREE = 9
"""How many of an image's neighbours must be of one other class."""
SIDE, DIMENSIONS, BLOCK = 16, 48, 1024


@check("DC040", "labels to look at", severity="note")
def contradicted_labels(data: DataToCheck) -> Iterator[Found]:
    """Images whose nearest neighbours are nearly all of one other class.

    Neighbours are sought by pixels (16×16, standardized, 48 principal components) among other
    sources. Where such neighbours know the class hardly better than chance, they accuse nobody,
    and the check passes.
    """
    manifest, images = data.manifest, data.images
    neighbours = nearest(components(images), manifest.groups)
    classes = len(manifest.classes)
    votes = np.zeros((len(images), classes), dtype=np.int64)
    rows = np.arange(len(images))
    for column in neighbours.T:
        known = column >= 0
        votes[rows[known], manifest.labels[column[known]]] += 1
    said = votes.argmax(1)
    accuracy = float((said == manifest.labels).mean())
    accused = np.flatnonzero((said != manifest.labels) & (votes.max(1) >= AGREE))
    if accuracy < 0.5 or not len(accused):
        return
    order = accused[np.argsort(-votes.max(1)[accused], kind="stable")]
    yield Found(
        count=len(accused),
        message=f"{len(accused)} images ({percent(len(accused) / len(images))}) look like another "
        f"class: at least {AGREE} of their {NEIGHBOURS} nearest neighbours have one other label "
        f"(neighbours are right {percent(accuracy)} of the time).",
        remedy="Look at them; correct the label or remove the image.",
        evidence=tuple(
            Evidence(
                names=(
                    str(manifest.names[index]),
                    *(str(manifest.names[other]) for other in neighbours[index][:5] if other >= 0),
                ),
                caption=f"labelled {manifest.classes[manifest.labels[index]]}, neighbours are "
                f"{manifest.classes[said[index]]}",
            )
            for index in order[:12]
        ),
    )


def components(images: UInt8[np.ndarray, "n s s 3"]) -> Float[np.ndarray, "n d"]:
    """Principal components of small, standardized pictures."""
    from sklearn.decomposition import PCA

    size = images.shape[1]
    edges = np.linspace(0, size, min(SIDE, size) + 1).astype(int)[:-1]
    blocks = []
    for first in range(0, len(images), BLOCK):
        values = images[first : first + BLOCK].astype(np.float32)
        values = np.add.reduceat(np.add.reduceat(values, edges, axis=1), edges, axis=2)
        flat = values.reshape(len(values), -1)
        flat -= flat.mean(1, keepdims=True)
        blocks.append(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6))
    flat = np.concatenate(blocks)
    count = min(DIMENSIONS, *flat.shape)
    sample = flat[:: max(1, len(flat) // 10_000)]
    pca = PCA(count, svd_solver="randomized", random_state=0).fit(sample)
    found: Float[np.ndarray, "n d"] = pca.transform(flat).astype(np.float32)
    return found


def nearest(
    points: Float[np.ndarray, "n d"], groups: Int[np.ndarray, " n"]
) -> Int[np.ndarray, "n k"]:
    """The nearest points of other groups, nearest first; −1 where there are fewer."""
    squares = (points**2).sum(1)
    found = np.full((len(points), NEIGHBOURS), -1)
    wanted = min(NEIGHBOURS, len(points) - 1)
    if wanted < 1:
        return found
    for first in range(0, len(points), BLOCK):
        block = slice(first, min(first + BLOCK, len(points)))
        distances = squares[None, :] - 2 * points[block] @ points.T
        distances[groups[block, None] == groups[None, :]] = np.inf
        closest = np.argpartition(distances, wanted - 1, axis=1)[:, :wanted]
        values = np.take_along_axis(distances, closest, axis=1)
        order = np.argsort(values, axis=1, kind="stable")
        closest = np.take_along_axis(closest, order, axis=1)
        closest[np.isinf(np.take_along_axis(values, order, axis=1))] = -1
        found[block, :wanted] = closest
    return found
