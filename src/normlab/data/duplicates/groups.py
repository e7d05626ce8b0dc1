"""From pairs to groups, so that one false pair does not join two sources."""

from __future__ import annotations

from collections import Counter

import numpy as np
from jaxtyping import Float, Int

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
    parent = list(range(count))
    for one, two in equal.tolist():
        _join(parent, one, two)
    size = Counter({_root(parent, image): 1 for image in range(count)})
    waiting = [
        (one, two, 2 if value >= STRONG else 1)
        for (one, two), value in zip(pairs.tolist(), score.tolist(), strict=True)
    ]
    changed = True
    while changed and waiting:
        changed, left = False, []
        links: Counter[tuple[int, int]] = Counter()
        for one, two, weight in waiting:
            links[_ends(parent, one, two)] += weight
        for one, two, weight in waiting:
            a, b = _ends(parent, one, two)
            if a == b:
                continue
            if size[a] + size[b] > SMALL and links[a, b] < 2:
                left.append((one, two, weight))
                continue
            size[_join(parent, a, b)] = size[a] + size[b]
            changed = True
        waiting = left
    roots = np.array([_root(parent, image) for image in range(count)], np.int64)
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)


def _root(parent: list[int], image: int) -> int:
    while parent[image] != image:
        parent[image] = parent[parent[image]]
        image = parent[image]
    return image


def _join(parent: list[int], one: int, two: int) -> int:
    """The smaller number is the root, which makes it the group's first image."""
    low, high = sorted((_root(parent, one), _root(parent, two)))
    parent[high] = low
    return low


def _ends(parent: list[int], one: int, two: int) -> tuple[int, int]:
    a, b = _root(parent, one), _root(parent, two)
    return (a, b) if a < b else (b, a)
