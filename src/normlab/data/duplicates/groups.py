"""From pairs to groups, so that one false pair does not join two sources."""

from __future__ import annotations

from collections import Counter

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.hierarchy import DisjointSet

SMALL = 4
"""Up to so many images one verified pair is enough to join."""
STRONG = 0.92
"""A pair of this score counts as two."""


def source_groups(
    count: int,
    equal: Int[np.ndarray, "e 2"],
    pairs: Int[np.ndarray, "k 2"],
    score: Float[np.ndarray, " k"],
) -> Int[np.ndarray, " n"]:
    """Groups of images, numbered in the order of their first.

    `equal` pairs always join. Others join best first; where the joined group would have more than
    SMALL images (equal ones counted once), two pairs must hold between its halves, or a strong one:
    a chain a–b–c–d of look-alikes breaks where its ends have nothing in common.
    """
    groups = _Groups(count)
    for one, two in equal.tolist():
        groups.join(one, two)
    size = Counter({groups.first(image): 1 for image in range(count)})
    waiting = [
        (one, two, 2 if value >= STRONG else 1)
        for (one, two), value in zip(pairs.tolist(), score.tolist(), strict=True)
    ]
    changed = True
    while changed and waiting:
        changed, left = False, []
        links: Counter[tuple[int, int]] = Counter()
        for one, two, weight in waiting:
            links[groups.ends(one, two)] += weight
        for one, two, weight in waiting:
            a, b = groups.ends(one, two)
            if a == b:
                continue
            if size[a] + size[b] > SMALL and links[a, b] < 2:
                left.append((one, two, weight))
                continue
            size[groups.join(a, b)] = size[a] + size[b]
            changed = True
        waiting = left
    firsts = np.array([groups.first(image) for image in range(count)], np.int64)
    return np.unique(firsts, return_inverse=True)[1].astype(np.int64)


class _Groups:
    """Disjoint sets of images, each known by its first image, whatever order they were joined in.

    The counted links between two groups are kept under their first images, so which image stands
    for a joined group decides what is still counted for it in the same round.
    """

    def __init__(self, count: int) -> None:
        self._sets = DisjointSet(range(count))
        self._first = list(range(count))
        """For an image that is the root of its set: the smallest number in the set."""

    def first(self, image: int) -> int:
        """The first image of the group that an image is in."""
        return self._first[self._sets[image]]

    def ends(self, one: int, two: int) -> tuple[int, int]:
        """The groups of both, the smaller number first."""
        a, b = self.first(one), self.first(two)
        return (a, b) if a < b else (b, a)

    def join(self, one: int, two: int) -> int:
        """Make one group of theirs, and return its first image."""
        first, _ = self.ends(one, two)
        self._sets.merge(one, two)
        self._first[self._sets[one]] = first
        return first
