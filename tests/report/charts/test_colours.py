from __future__ import annotations

import itertools

import numpy as np

from normlab.report.charts.colours import EXTRA_COLOURS, KNOWN, strokes

ARMS = ("bn", "in", "bin", "ln", "gn", "none", "torch-bn")

# Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB
DEUTERANOPIA = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
]
PROTANOPIA = [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
]
RGB_TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]


def lab(colour, vision):
    srgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = np.array(RGB_TO_XYZ) @ np.clip(np.array(vision) @ linear, 0, 1)
    f = np.cbrt(xyz / np.array([0.9505, 1.0, 1.089]))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def nearest(colours, vision):
    """The smallest CIE 1976 distance of two colours; about 2.3 is just noticeable."""
    return min(
        np.linalg.norm(lab(a, vision) - lab(b, vision))
        for a, b in itertools.combinations(colours, 2)
    )


def test_the_arms_of_the_original_are_told_apart_by_everybody():
    for vision in (np.eye(3), DEUTERANOPIA, PROTANOPIA):
        assert nearest(KNOWN.values(), vision) > 8
    assert nearest(["#00A000", "#A08000"], DEUTERANOPIA) < nearest(
        ["#00A000", "#A08000"], np.eye(3)
    )


def test_known_arms_keep_their_colour_in_every_study():
    assert {arm: stroke.colour for arm, stroke in strokes(ARMS).items()} == KNOWN
    assert strokes(["gn", "zz"])["gn"] == strokes(["zz", "gn"])["gn"]
    assert strokes(["gn:groups=4"])["gn:groups=4"].colour == KNOWN["gn"]


def test_any_list_of_arms_gets_distinct_strokes_and_always_the_same():
    arms = [*ARMS, "gn:groups=4", "gn:groups=2", *(f"arm {number}" for number in range(20))]
    drawn = strokes(arms)
    assert list(drawn) == arms
    assert len(set(drawn.values())) == len(arms)
    assert len({stroke.colour for stroke in drawn.values()}) == len(arms)
    assert drawn == strokes(arms)
    assert drawn["gn:groups=4"].colour == EXTRA_COLOURS[0]


def test_torch_bn_is_dashed_so_that_bn_is_seen_beneath():
    drawn = strokes(ARMS)
    assert drawn["torch-bn"].dash
    assert not drawn["bn"].dash
