from __future__ import annotations

import pytest

from normlab.stats.inference.comparison import Comparison
from normlab.stats.inference.intervals import PairedDifference
from normlab.stats.summary.verdict_text import further_blocks
from normlab.text import count, join


def undecided(blocks):
    difference = PairedDifference(3, 0.0, 0.1, None, None)
    return Comparison("gn", "bn", difference, 1.0, 1.0, None, None, "undecided", blocks)


@pytest.mark.parametrize(
    ("blocks", "text"),
    [
        ([1], "about 1 more block"),
        ([4, 4], "about 4 more blocks"),
        ([4, 12], "about 4 to 12 more blocks"),
        ([4, 101], "about 4 to more than 100 more blocks"),
        ([101, 101], "more than 100 more blocks"),
        ([None], "there are too few blocks yet to say how many more"),
        ([None, 7], "about 7 more blocks"),
    ],
)
def test_blocks_still_needed(blocks, text):
    assert further_blocks([undecided(number) for number in blocks]) == text


def test_lists_and_counts_in_words():
    assert join([]) == ""
    assert join(["bn"]) == "bn"
    assert join(["bn", "gn"]) == "bn and gn"
    assert join(["bn", "gn", "ln"]) == "bn, gn and ln"
    assert count(2, "block") == "2 blocks"
