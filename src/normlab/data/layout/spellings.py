"""One class under two spellings: Unicode forms are one class; what else looks alike is said."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import replace

from normlab.data.layout.endings import canonical
from normlab.data.layout.items import Item, Note

SHOWN = 3
_HOMOGLYPHS = str.maketrans(
    "\u0430\u0432\u0435\u0451\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0456\u0458\u0455"
    "\u03b1\u03b2\u03b5\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7",
    "abeekmhopctyxijs" + "abeikvoptyx",
)
"""Cyrillic and Greek letters → the Latin letters that they look like."""
_BETWEEN = re.compile(r"[\s_\-.'\"’`]+")


def one_spelling(labels: Collection[str]) -> dict[str, str]:
    r"""Label → its composed form, where a class is there in several Unicode forms.

    >>> one_spelling(["caf\u00e9", "cafe\u0301", "tea"]) == {"cafe\u0301": "caf\u00e9"}
    True
    """
    forms: dict[str, set[str]] = {}
    for label in labels:
        forms.setdefault(canonical(label), set()).add(label)
    return {
        label: form
        for form, found in forms.items()
        if len(found) > 1
        for label in found
        if label != form
    }


def merged(items: Sequence[Item]) -> tuple[list[Item], list[Note]]:
    """The items with one name for each class, and what to say of the names of the classes."""
    labels = {item.label for item in items}
    spelled = one_spelling(labels)
    notes = []
    if spelled:
        items = [replace(item, label=spelled.get(item.label, item.label)) for item in items]
        shown = ", ".join(sorted(set(spelled.values())))
        notes.append(
            Note(
                f"one class in two Unicode forms was read as one: {shown}",
                "Nothing has to be done",
                len(set(spelled.values())),
            )
        )
        labels = {item.label for item in items}
    return list(items), [*notes, *spelling_notes(labels)]


def spelling_notes(labels: Collection[str]) -> list[Note]:
    """Classes whose names differ in case, spaces and dashes, or letters that look the same."""
    alike: dict[str, list[str]] = {}
    for label in sorted(labels):
        alike.setdefault(_skeleton(label), []).append(label)
    pairs = [found for key, found in sorted(alike.items()) if key and len(found) > 1]
    if not pairs:
        return []
    shown = "; ".join(" and ".join(repr(label) for label in found) for found in pairs[:SHOWN])
    more = f"; and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else ""
    return [
        Note(
            f"classes that are spelled almost the same count as different ones: {shown}{more}",
            "If they are one class, give them one name",
            len(pairs),
        )
    ]


def _skeleton(label: str) -> str:
    """What is left of a name without case, spaces, dashes and look-alike letters.

    >>> _skeleton("Golden-Retriever") == _skeleton("golden retriever"), _skeleton("1.5")
    (True, '1.5')
    """
    text = unicodedata.normalize("NFKC", label).casefold().translate(_HOMOGLYPHS)
    return _BETWEEN.sub(lambda found: _kept(text, found), text)


def _kept(text: str, found: re.Match[str]) -> str:
    """Nothing, but between two numbers their separator."""
    before, after = text[found.start() - 1 : found.start()], text[found.end() : found.end() + 1]
    return found[0] if before.isdigit() and after.isdigit() else ""
