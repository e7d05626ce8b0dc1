"""Findings about copies: exact, near, with two labels, on two sides of a split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

from normlab.data.check.base import DataToCheck, Found, check
from normlab.data.check.finding import percent, some
from normlab.data.duplicates.search_pairs import Duplicates
from normlab.data.scan import Manifest
from normlab.records.data_report import Evidence
from normlab.text import count

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


def conflicting(
    labels: Int[np.ndarray, " n"], groups: Int[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    """Whether an image's group has more than one label."""
    pairs = np.unique(np.stack([groups, labels], axis=1), axis=0)
    several = np.bincount(pairs[:, 0]) > 1
    found: Bool[np.ndarray, " n"] = several[groups]
    return found


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
    near = np.flatnonzero(_acted_on(duplicates) & ~duplicates.exact)
    if not len(near):
        return
    kinds = Counter(_kind(duplicates, int(k)) for k in near)
    yield Found(
        count=duplicates.duplicates,
        message=f"{duplicates.duplicates:,} of {len(manifest):,} images are copies of another one, "
        f"so that there are {len(manifest) - duplicates.duplicates:,} photographs "
        f"(pairs: {', '.join(f'{kind} {count:,}' for kind, count in kinds.most_common(5))}).",
        remedy="Count photographs, not files; copies are kept on one side of every split. Wrong "
        "pairs can be rejected in pairs.csv, and --pairs reads it.",
        evidence=tuple(_pair(manifest, duplicates, int(near[k])) for k in _spread(len(near))),
    )


@check("DC015", "pictures that look alike", severity="note")
def look_alikes(data: DataToCheck) -> Iterator[Found]:
    """Pairs that may be frames of one scene, or two things before one wall."""
    duplicates = data.duplicates
    alike = np.flatnonzero(~duplicates.certain & ~_acted_on(duplicates))
    if len(alike):
        yield Found(
            count=len(np.unique(duplicates.pairs[alike])),
            message=f"{count(len(alike), 'pair')} of pictures look alike and are not taken for one "
            "photograph: frames of one scene, or things of one kind before one wall. Nothing is "
            "done about them.",
            remedy="Where two are one photograph, write accept in the column decision of pairs.csv "
            "(reject, where a duplicate is none), and give the file to --pairs; "
            "--copies look-alikes keeps all of them together.",
            evidence=tuple(
                _pair(data.manifest, duplicates, int(k)) for k in alike[_spread(len(alike))]
            ),
        )


@check("DC012", "one photograph, two labels", severity="warning")
def two_labels(data: DataToCheck) -> Iterator[Found]:
    """Copies of one photograph that lie in different classes."""
    manifest, duplicates = data.manifest, data.duplicates
    images = conflicting(manifest.labels, duplicates.groups)
    if not images.any():
        return
    of_group: dict[int, set[str]] = {}
    for row in np.flatnonzero(images).tolist():
        label = manifest.classes[manifest.labels[row]]
        of_group.setdefault(int(duplicates.groups[row]), set()).add(label)
    names = [" and ".join(sorted(of_group[group])) for group in sorted(of_group)]
    a, b = duplicates.pairs.T
    shown = np.flatnonzero(_acted_on(duplicates) & (manifest.labels[a] != manifest.labels[b]))
    between = Counter(names).most_common()
    yield Found(
        count=int(images.sum()),
        message=f"{int(images.sum()):,} images are of photographs that have two labels: "
        f"{some([f'{both} ({count})' for both, count in between])}.",
        remedy="Look at them: decide on one label, or remove them. --fix leaves them out.",
        evidence=tuple(_pair(manifest, duplicates, int(k)) for k in shown[:PAIRS_SHOWN]),
    )


def _acted_on(duplicates: Duplicates) -> Bool[np.ndarray, " k"]:
    """The pairs whose images are in one group."""
    a, b = duplicates.pairs.T
    found: Bool[np.ndarray, " k"] = duplicates.groups[a] == duplicates.groups[b]
    return found


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
    leaked_of, held_of = (
        np.bincount(manifest.labels[which], minlength=len(classes)).tolist()
        for which in (leaks, held_out)
    )
    a, b = duplicates.pairs.T
    crossing = np.flatnonzero(
        _acted_on(duplicates)
        & (leaks[a] & (manifest.parts[b] == "train") | leaks[b] & (manifest.parts[a] == "train"))
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
                    f"{leaked_of[k]:,}",
                    f"{held_of[k]:,}",
                    percent(leaked_of[k] / max(held_of[k], 1)),
                )
                for k in sorted(classes, key=lambda k: -leaked_of[k])
            ),
        ),
    )


def _pair(manifest: Manifest, duplicates: Duplicates, index: int) -> Evidence:
    a, b = duplicates.pairs[index]
    parts = [str(part) for part in manifest.parts[[a, b]] if part]
    parts_text = f" ({' and '.join(parts)})" if parts else ""
    return Evidence(
        names=(str(manifest.names[a]), str(manifest.names[b])),
        caption=f"{duplicates.relation(index)}{parts_text}, score {duplicates.score[index]:.2f}",
        overlay=_first_from_second(duplicates.affine[index]),
    )


def _first_from_second(affine: Float[np.ndarray, "2 3"]) -> tuple[float, ...]:
    back = np.linalg.inv(affine[:, :2])
    return tuple(np.column_stack([back, -back @ affine[:, 2]]).ravel().round(5).tolist())


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
