"""Names of parts as people write them: train, Training, seg_train, train_images, TEST-set, dev."""

from __future__ import annotations

import re
from collections.abc import Collection

PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
"""The plain names of parts."""
_WORDS = {
    **PARTS,
    **dict.fromkeys(("dev", "devel", "development"), "val"),
    **dict.fromkeys(("testing", "holdout", "heldout", "eval", "evaluation"), "test"),
}
_WHOLE = {"publictest": "val", "privatetest": "test", "held out": "test", "hold out": "test"}
_FILLERS = frozenset(
    ("set", "sets", "data", "dataset", "image", "images", "img", "imgs", "photos", "pictures")
) | {"folder", "split", "part", "samples", "subset"}
_GLUED = re.compile(r"(train|training|val|valid|test)(set|data|dataset|images|imgs|split)")
_TOKENS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_a-zA-Z]+")


def part_of(name: str) -> str:
    """The part that a name means in any usual spelling; "" where it means none.

    >>> part_of("Training"), part_of("TEST-set"), part_of("valid_images"), part_of("dev")
    ('train', 'test', 'val', 'val')
    >>> part_of("train-val"), part_of("sunset")
    ('', '')
    """
    part, rest = _read(name)
    return part if not rest else ""


def parts_of_folders(folders: Collection[str]) -> dict[str, str]:
    """Folder → part, of folders all of which are parts; empty where they are not.

    They may share other words: seg_train and seg_test are parts, test_positive and test_negative
    are none, since they would be the same part.
    """
    if all(folder.lower() in PARTS for folder in folders):
        return {folder: PARTS[folder.lower()] for folder in folders}
    found = {folder: _read(folder) for folder in folders}
    parts = {part for part, _ in found.values()}
    same_words = len({rest for _, rest in found.values()}) == 1
    if "" in parts or len(parts) < len(found) or len(parts) < 2 or not same_words:
        return {}
    return {folder: part for folder, (part, _) in found.items()}


def parts_among(folders: Collection[str]) -> dict[str, str]:
    """Folder → part, of those that are train and at least one other part beside other folders."""
    by_words: dict[tuple[str, ...], dict[str, str]] = {}
    for folder in sorted(folders):
        part, rest = _read(folder)
        if part:
            by_words.setdefault(rest, {})[folder] = part
    for found in by_words.values():
        parts = set(found.values())
        if "train" in parts and len(parts) > 1 and parts_of_folders(found):
            return found
    return {}


def _read(name: str) -> tuple[str, tuple[str, ...]]:
    """The one part that a name tells of, and its other words; ("", …) for none or several."""
    words = [word.lower() for word in _TOKENS.findall(name)]
    whole = _WHOLE.get(" ".join(words)) or _WHOLE.get("".join(words))
    if whole:
        return whole, ()
    words = [piece for word in words for piece in _unglued(word)]
    parts = [_WORDS[word] for word in words if word in _WORDS]
    rest = tuple(word for word in words if word not in _WORDS and word not in _FILLERS)
    return (parts[0] if len(parts) == 1 else ""), rest


def _unglued(word: str) -> tuple[str, ...]:
    glued = _GLUED.fullmatch(word)
    return (glued[1], glued[2]) if glued else (word,)
