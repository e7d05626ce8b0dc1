"""Files that are not read: counted by ending and by class, those of a class that vanishes first."""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence

from normlab.data.layout.endings import (
    HEIF,
    ending_of,
    is_picture,
    kind_by_content,
    reads_heif,
    usual_ending,
)
from normlab.data.layout.items import Note
from normlab.text import count

LOOKED_AT = 3
"""Files of each ending and class whose content is looked at."""
SHOWN = 6
"""Classes that are named."""

Place = Callable[[str], tuple[str, str] | None]


def left_out_notes(
    others: Sequence[str],
    labels: Collection[str],
    place: Place,
    peek: Callable[[str], bytes] | None,
) -> tuple[list[Note], list[str]]:
    """What to say of the files that are no images, and the classes that have no others.

    Said are pictures wherever they lie, and other files in the folders of classes.
    """
    files: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in others:
        where = place(name)
        if where is not None:
            files[where[0], ending_of(name)].append(name)
        elif is_picture(name):
            files["", ending_of(name)].append(name)
    kinds = {key: _kinds(names, peek) for key, names in files.items()}
    pictures = {key for key, found in kinds.items() if found or is_picture(f"x{key[1]}")}
    missing = sorted({label for label, _ in pictures} - set(labels) - {""})
    lost = {key: names for key, names in files.items() if key[0] in missing and key in pictures}
    kept = {
        key: names
        for key, names in files.items()
        if key not in lost and (key[0] in labels or key in pictures)
    }
    notes = []
    if lost:
        named = ", ".join(repr(label) for label in missing[:SHOWN])
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        head = f"class {named} is" if len(missing) == 1 else f"classes {named}{more} are"
        notes.append(_note(f"{head} missing: ", lost, kinds))
    if kept:
        notes.append(_note("", kept, kinds))
    return notes, missing


def _note(
    head: str, files: dict[tuple[str, str], list[str]], kinds: dict[tuple[str, str], set[str]]
) -> Note:
    total = sum(map(len, files.values()))
    endings = sorted({ending or "(none)" for _, ending in files})
    word = "ending" if len(endings) == 1 else "endings"
    by_class = Counter({label: 0 for label, _ in files})
    for (label, _), names in files.items():
        by_class[label] += len(names)
    shown = ", ".join(
        f"{label or 'in no class'} {number}" for label, number in by_class.most_common(SHOWN)
    )
    more = ", …" if len(by_class) > SHOWN else ""
    verb = "was" if total == 1 else "were"
    text = (
        f"{head}{count(total, 'file')} with the {word} {', '.join(endings)} {verb} not read "
        f"({shown}{more})"
    )
    found = set().union(*(kinds[key] for key in files))
    return Note(text, _remedy(endings, found), total)


def _remedy(endings: Sequence[str], kinds: set[str]) -> str:
    steps = []
    heif = bool(HEIF & set(endings)) or "HEIC" in kinds
    if heif and not reads_heif():
        steps.append('to read HEIC install pip install "normlab[heic]"')
    steps += [
        f"some are {kind} by content: give them the ending {usual_ending(kind)}"
        for kind in sorted(kinds - {"HEIC"})
    ]
    if any(is_picture(f"x{ending}") and ending not in HEIF for ending in endings):
        steps.append("convert them to PNG or JPEG")
    return "; ".join(steps) or "Nothing has to be done if they are no images"


def _kinds(names: Sequence[str], peek: Callable[[str], bytes] | None) -> set[str]:
    """The kinds of image that the first of these files begin like."""
    found = set()
    for name in names[:LOOKED_AT] if peek is not None else ():
        with contextlib.suppress(OSError):
            assert peek is not None
            found.add(kind_by_content(peek(name)))
    return found - {""}
