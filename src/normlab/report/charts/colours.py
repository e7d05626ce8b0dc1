"""One colour an arm, the same in every figure, that also the colour-blind can tell apart.

Source: Okabe & Ito 2008, "Color Universal Design"; their black and yellow are left out, because
the page has a light and a dark form and either would vanish on one of them.
"""

from __future__ import annotations

import colorsys
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

KNOWN = {
    "bn": "#0072B2",  # blue
    "in": "#E69F00",  # orange
    "bin": "#D55E00",  # vermillion
    "ln": "#009E73",  # bluish green
    "gn": "#CC79A7",  # reddish purple
    "none": "#868686",  # grey
    "torch-bn": "#56B4E9",  # sky blue
}
"""The arms of the original work keep their colour in every study."""

EXTRA_COLOURS = ("#A89A00", "#8F5FD6", "#9A5B2A", "#17A2A2")
"""Colours of other arms, in the order of the plan: olive, violet, brown, teal."""

SOLID: tuple[int, ...] = ()
DASHES: tuple[tuple[int, ...], ...] = ((5, 3), (2, 2), (8, 3, 2, 3))

_GOLDEN_ANGLE = 0.381966
"""A share of a turn by which successive hues never come close to each other."""


@dataclass(frozen=True)
class Stroke:
    """How an arm is drawn."""

    colour: str
    """Hexadecimal, #RRGGBB."""
    dash: tuple[int, ...]
    """Lengths of line and gap; empty for a solid line."""


def strokes(arms: Sequence[str]) -> dict[str, Stroke]:
    """A distinct stroke for each arm of a study; the same list always gives the same strokes.

    An arm of the original work, by its name ("gn") or, where that is not taken, by its name with
    options ("gn:groups=8"), has its own colour. torch-bn is dashed, so that the curve of bn, which
    it should cover, is seen beneath it. Other arms take the spare colours, then hues spread by the
    golden angle, in changing dashes.
    """
    chosen: dict[str, Stroke] = {}
    for arm in arms:
        if arm in KNOWN:
            chosen[arm] = Stroke(KNOWN[arm], DASHES[0] if arm == "torch-bn" else SOLID)
    extra = _extra_strokes()
    for arm in arms:
        if arm in chosen:
            continue
        base = KNOWN.get(arm.split(":")[0])
        if base is not None and base not in {stroke.colour for stroke in chosen.values()}:
            chosen[arm] = Stroke(base, SOLID)
        else:
            chosen[arm] = next(extra)
    return {arm: chosen[arm] for arm in arms}


def _extra_strokes() -> Iterator[Stroke]:
    for colour in EXTRA_COLOURS:
        yield Stroke(colour, SOLID)
    for number in itertools.count():
        hue = (0.02 + number * _GOLDEN_ANGLE) % 1.0
        rgb = colorsys.hls_to_rgb(hue, 0.5, 0.65)
        colour = "#" + "".join(f"{round(255 * channel):02X}" for channel in rgb)
        yield Stroke(colour, DASHES[number % len(DASHES)])
