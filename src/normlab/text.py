"""Numbers and lists in words, for sentences that people read."""

from __future__ import annotations

import unicodedata
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


def format_seconds(seconds: float) -> str:
    """A duration in the unit that fits it.

    >>> format_seconds(59), format_seconds(150), format_seconds(5400)
    ('59 s', '2.5 min', '1.5 h')
    """
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        minutes = seconds / 60
        return f"{minutes:.1f} min" if minutes < 9.95 else f"{minutes:.0f} min"
    return f"{seconds / 3600:.1f} h"


def isolated(name: str) -> str:
    r"""A name for a line of text: one that is written from right to left does not turn the line.

    It is put between FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE (Unicode UAX #9).

    >>> isolated("bn"), isolated("\u05d0\u05d1") == "\u2068\u05d0\u05d1\u2069"
    ('bn', True)
    """
    from_right = any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in name)
    return f"\u2068{name}\u2069" if from_right else name
