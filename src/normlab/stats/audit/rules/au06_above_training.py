"""AU06: validation is not above training by more than sampling error.

Never certain: a training accuracy measured on augmented images, with dropout, or while the network
still learns may honestly be lower.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist

from normlab.stats.audit.heads import ACCURACY, ERROR
from normlab.stats.audit.labels import context_words, key_of
from normlab.stats.audit.model import Entry, Figure, PublishedTable
from normlab.stats.audit.rules.base import Audited, Finding, finding

CODE = "AU06"
TITLE = "validation not above training"
NEEDS_IMAGES = True

Key = tuple[object, ...]


def check(audited: Audited) -> Iterator[Finding]:
    """Every row that is better on images that it has not seen, once for all rows at 5 %."""
    trained: dict[Key, Figure] = {}
    for table, entry in audited.entries():
        figure = _accuracy(entry, "train")
        if figure is not None:
            trained[_key(table, entry)] = figure
    pairs = []
    for table, entry in audited.entries():
        for part in ("validation", "test"):
            own, training = _accuracy(entry, part), trained.get(_key(table, entry))
            images = audited.images_of(own) if own is not None else None
            if own is not None and training is not None and images:
                pairs.append((table, entry, own, training, images))
    if not pairs:
        return
    z = NormalDist().inv_cdf(1 - 0.025 / len(pairs))
    for table, entry, own, training, images in pairs:
        yield from _judge(audited, table, entry, own, training, images, z)


def _judge(
    audited: Audited,
    table: PublishedTable,
    entry: Entry,
    own: Figure,
    training: Figure,
    images: int,
    z: float,
) -> Iterator[Finding]:
    share, seen = _right(own), _right(training)
    runs = max(audited.runs_of(table, own), 1)
    variance = max(share * (1 - share), 0.0) / images
    train_images = audited.images_of(training)
    if train_images:
        variance += max(seen * (1 - seen), 0.0) / train_images
    error = z * math.sqrt(variance)
    gap = share - seen
    if gap > error + own.unit + training.unit:
        text = (
            f"{own.part} {own.text} − training {training.text} = {gap:+.4f}, sampling error "
            f"± {error:.4f} with {images:,} images"
            + (f" in each of {runs} runs" if runs > 1 else "")
            + "; was training measured on augmented images, or while the network learned?"
        )
        figures = [own] + ([training] if training in table.figures else [])
        yield finding(CODE, "question", table, entry.name, text, figures)


def _accuracy(entry: Entry, part: str) -> Figure | None:
    figure = entry.get(ACCURACY, part) or entry.get(ERROR, part)
    return figure if figure is not None and figure.usable else None


def _right(figure: Figure) -> float:
    return 1 - figure.value if figure.metric == ERROR else figure.value


def _key(table: PublishedTable, entry: Entry) -> Key:
    return key_of(entry.labels), entry.dataset, context_words(table)
