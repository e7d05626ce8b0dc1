"""Findings about copies: exact, near, with two labels, on two sides of a split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Int

from normlab.data.check.base import DataToCheck, Found, check
from normlab.data.check.finding import percent, some
from normlab.data.duplicates.search_pairs import Duplicates
from normlab.data.scan import Manifest
from normlab.records.data_report import Evidence

PAIRS_SHOWN = 24
_UPRIGHT, _SAME_SIZE = 3.0, 1.04
HELD_OUT_PARTS = ("val", "test")


@check("DC010", "exact copies", severity="note")
def exact_duplicates(data: DataToCheck) -> Iterator[Found]:
    """Images that are byte for byte a copy of another one."""
    manifest = data.manifest
    _, first, counts = np.unique(manifest.hashes, return_index=True, return_counts=True)
    repeated = int(counts.sum() - len(counts))
    if repeated:
        shown = [manifest.names[manifest.hashes == manifest.hashes[k]] for k in first[counts > 1]]
        yield Found(
            count=repeated,
            message=f"{repeated:,} images are byte for byte a copy of another one.",
            remedy="Nothing has to be done: copies are kept on one side of every split.",
            evidence=tuple(
                Evidence(names=tuple(str(n) for n in names[:6])) for names in shown[:PAIRS_SHOWN]
            ),
        )


def leaked(manifest: Manifest, groups: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Per image whether it is judged on (val, test) and has a source in training."""
    training = np.unique(groups[manifest.parts == "train"])
    return np.isin(manifest.parts, HELD_OUT_PARTS) & np.isin(groups, training)


def _twin(manifest: Manifest) -> str:
    twin = "a copy of the same photograph"
    return twin if manifest.given_groups is None else f"an image of the same group, or {twin},"


@check("DC013", "a split that leaks", severity="error", short=True)
def leaking_split(data: DataToCheck) -> Iterator[Found]:
    """Validation and test images that have a copy in training.

    In the short form it is a warning: `compare` leaves those copies out of training.
    """
    yield from _leak_by_groups(data.manifest) if data.pairs is None else _leak_by_pairs(data)


def _leak_by_groups(manifest: Manifest) -> Iterator[Found]:
    leaks = leaked(manifest, manifest.groups)
    held_out = np.isin(manifest.parts, HELD_OUT_PARTS)
    if leaks.any():
        yield Found(
            title="the split leaks",
            severity="warning",
            count=int(leaks.sum()),
            message=f"{int(leaks.sum()):,} of {int(held_out.sum()):,} validation and test images "
            f"({percent(leaks.sum() / held_out.sum())}) have {_twin(manifest)} in training; those "
            "are left out of training.",
            remedy="A split that keeps photographs together loses fewer: normlab check --fix.",
        )


@check("DC011", "copies of one photograph", severity="warning")
def near_duplicates(data: DataToCheck) -> Iterator[Found]:
    """Mirrored, turned, zoomed and re-encoded copies of one photograph."""
    manifest, duplicates = data.manifest, data.duplicates
    sizes = np.bincount(duplicates.groups)
    sources = int((sizes > 0).sum())
    together = int(sizes[sizes > 1].sum())
    if not len(duplicates) or duplicates.exact.all():
        return
    inexact = np.flatnonzero(~duplicates.exact)
    kinds = Counter(_kind(duplicates, k) for k in range(len(duplicates)) if not duplicates.exact[k])
    yield Found(
        count=together,
        message=f"{len(manifest):,} images come from about {sources:,} photographs: "
        f"{together:,} of them have a mirrored, turned, zoomed or re-encoded copy "
        f"({', '.join(f'{kind} {count:,}' for kind, count in kinds.most_common(5))}).",
        remedy="Count photographs, not files; copies are kept on one side of every split.",
        evidence=tuple(_pair(manifest, duplicates, int(inexact[k])) for k in _spread(len(inexact))),
    )


@check("DC012", "one photograph, two labels", severity="warning")
def two_labels(data: DataToCheck) -> Iterator[Found]:
    """Copies of one photograph that lie in different classes."""
    manifest, duplicates = data.manifest, data.duplicates
    a, b = duplicates.pairs.T if len(duplicates.pairs) else np.zeros((2, 0), int)
    conflict = np.flatnonzero(manifest.labels[a] != manifest.labels[b])
    if not len(conflict):
        return
    images = np.unique(duplicates.pairs[conflict])
    between = Counter(
        " and ".join(
            sorted(
                (manifest.classes[manifest.labels[a[k]]], manifest.classes[manifest.labels[b[k]]])
            )
        )
        for k in conflict
    )
    yield Found(
        count=len(images),
        message=f"{len(images):,} images have a copy with another label: "
        f"{some([f'{names} ({count})' for names, count in between.most_common()])}.",
        remedy="Look at them: decide on one label, or remove them. --fix leaves them out.",
        evidence=tuple(_pair(manifest, duplicates, int(k)) for k in conflict[:PAIRS_SHOWN]),
    )


def _leak_by_pairs(data: DataToCheck) -> Iterator[Found]:
    manifest, duplicates = data.manifest, data.duplicates
    held_out = np.isin(manifest.parts, HELD_OUT_PARTS)
    if not held_out.any() or not (manifest.parts == "train").any():
        return
    leaks = leaked(manifest, manifest.groups)
    if not leaks.any():
        return
    share = leaks.sum() / held_out.sum()
    classes = range(len(manifest.classes))
    per_class = [
        (
            int((leaks & (manifest.labels == k)).sum()),
            int((held_out & (manifest.labels == k)).sum()),
        )
        for k in classes
    ]
    a, b = duplicates.pairs.T if len(duplicates.pairs) else np.zeros((2, 0), int)
    crossing = np.flatnonzero(
        (leaks[a] & (manifest.parts[b] == "train")) | (leaks[b] & (manifest.parts[a] == "train"))
    )
    yield Found(
        title="the split leaks",
        count=int(leaks.sum()),
        message=f"{int(leaks.sum()):,} of {int(held_out.sum()):,} validation and test images "
        f"({percent(share)}) have {_twin(manifest)} in training. Accuracy measured on them "
        "is memory, not recognition.",
        remedy="Use a split that keeps photographs together: compare does so by itself, and "
        "check --fix writes one.",
        evidence=tuple(
            _pair(manifest, duplicates, int(crossing[k])) for k in _spread(len(crossing))
        ),
        table=(
            ("class", "leaked", "of", "share"),
            *(
                (
                    manifest.classes[k],
                    f"{per_class[k][0]:,}",
                    f"{per_class[k][1]:,}",
                    percent(per_class[k][0] / max(per_class[k][1], 1)),
                )
                for k in sorted(classes, key=lambda k: -per_class[k][0])
            ),
        ),
    )


def _pair(manifest: Manifest, duplicates: Duplicates, index: int) -> Evidence:
    a, b = duplicates.pairs[index]
    parts = [str(part) for part in manifest.parts[[a, b]] if part]
    parts_text = f" ({' and '.join(parts)})" if parts else ""
    return Evidence(
        names=(str(manifest.names[a]), str(manifest.names[b])),
        caption=f"{duplicates.relation(index)}{parts_text}",
    )


def _kind(duplicates: Duplicates, index: int) -> str:
    """The relation of a pair in a word or two."""
    if duplicates.mirrored[index]:
        return "mirrored" if abs(duplicates.angle[index]) < _UPRIGHT else "mirrored and turned"
    if abs(duplicates.angle[index]) >= _UPRIGHT:
        return "turned"
    zoom = float(duplicates.zoom[index])
    return "zoomed" if max(zoom, 1 / zoom) > _SAME_SIZE else "re-encoded"


def _spread(count: int) -> list[int]:
    """Some indices, evenly spread, so that the evidence is not all of one class."""
    return sorted({int(k) for k in np.linspace(0, count - 1, min(count, PAIRS_SHOWN))})
