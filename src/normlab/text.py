"""Numbers and lists in words, for sentences that people read."""

from __future__ import annotations

from collections.abc import Sequence


def count(number: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "block"), count(0, "block"), count(1200, "image")
    ('1 block', '0 blocks', '1,200 images')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def join(names: Sequence[str]) -> str:
    """A list in words.

    >>> join(["bn", "gn", "ln"])
    'bn, gn and ln'
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
