"""A table with groups and a split that keeps them together; the images are not touched."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from normlab.data.check.leaks import conflicting
from normlab.data.check.run import CheckedData
from normlab.data.locations import DEMO
from normlab.data.scan import Manifest
from normlab.data.split import Shares
from normlab.errors import DataError
from normlab.randomness import numpy_stream
from normlab.records.store import atomic_write
from normlab.text import formula_safe, table_cell

EVALUATION = 0.2
"""Share of the images for evaluation where the source has no parts of its own."""


def write_fixed(checked: CheckedData, location: str, out: Path) -> str:
    """Write `path,label,part,group` for `compare`; returns what was done, in words.

    A photograph with two labels is left out. Groups that the source names stay together too. Where
    the source has parts, they keep their names and sizes (by class), and whole groups are dealt
    anew; or else a fifth of each class is for evaluation.

    Raises:
        DataError: a class has a single group, so that it cannot be on both sides.
        StorageError: the table cannot be written.
    """
    if location.startswith("demo:"):
        raise DataError(f"--fix writes the paths of image files, and {DEMO} has none")
    manifest = checked.dataset.manifest
    groups = manifest.groups
    conflict = conflicting(manifest.labels, checked.duplicates.groups)
    parts = deal(manifest, groups, ~conflict)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("path", "label", "part", "group"))
    root = _root(location, out)
    for index in np.flatnonzero(~conflict):
        label = table_cell(manifest.classes[manifest.labels[index]])
        path = (root / str(manifest.names[index])).as_posix()
        path = path if formula_safe(path) == path else f"./{path}"  # it must still be found
        writer.writerow((path, label, parts[index], groups[index]))
    atomic_write(out, buffer.getvalue().encode())
    names, counts = np.unique(parts[~conflict], return_counts=True)
    dealt = ", ".join(f"{name} {count:,}" for name, count in zip(names, counts, strict=True))
    left = int(conflict.sum())
    return dealt + (f"; {left:,} with a copy of another label left out" if left else "")


def deal(
    manifest: Manifest, groups: Int[np.ndarray, " n"], kept: Bool[np.ndarray, " n"]
) -> np.ndarray:
    """A part for every image: whole groups, class by class, in the sizes that are wanted."""
    generator = numpy_stream(0, 0, "check")
    shares = Shares(groups[kept], manifest.labels[kept], len(manifest.classes))
    part_of: dict[int, str] = {}
    for label, name in enumerate(manifest.classes):
        own = shares.groups_of(label)
        wanted = _wanted(manifest, label, shares.images[label])
        if len(own) <= len(wanted):
            raise DataError(
                f"class {name!r} has {len(own)} photographs, too few for train and "
                f"{' and '.join(wanted)}; add others"
            )
        order = generator.permutation(own).tolist()
        for part, number in wanted.items():
            dealt = sum(shares.size(g, label) for g in own.tolist() if part_of.get(g) == part)
            while dealt < number and order:
                group = order.pop()
                size = shares.size(group, label)
                # A group that overshoots by more than it brings is left for training.
                overshoots = bool(dealt) and dealt + size - number > number - dealt
                if group in part_of or overshoots or not shares.leave(group, len(wanted)):
                    continue
                part_of[group] = part
                shares.take(group)
                dealt += size
            if not dealt:
                raise DataError(
                    f"class {name!r} shares its groups with other classes, and none is left for "
                    f"{part}; add others"
                )
    return np.array([part_of.get(group, "train") for group in groups.tolist()], dtype="<U5")


def _wanted(manifest: Manifest, label: int, count: int) -> dict[str, int]:
    """How many images of a class each part but the training part is to have."""
    own = manifest.parts[manifest.labels == label]
    shares = {part: float((own == part).mean()) for part in ("val", "test") if (own == part).any()}
    return {part: max(1, round(s * count)) for part, s in (shares or {"val": EVALUATION}).items()}


def _root(location: str, out: Path) -> Path:
    """What the names in the source are relative to, as seen from the table's folder."""
    path = Path(location).resolve()
    root = path.parent if path.suffix.lower() in (".csv", ".tsv") else path
    folder = out.resolve().parent
    return root.relative_to(folder) if root.is_relative_to(folder) else root
