"""Mirror and shift, by hand on a tiny picture."""

from __future__ import annotations

from dataclasses import replace

import torch

from normlab.data.augment.draws import Draws, draw
from normlab.data.augment.moves import move

LIGHT = frozenset({"mirror", "shift"})


def picture() -> torch.Tensor:
    """One image of 3×3 with the values 1 to 9."""
    return torch.arange(1, 10, dtype=torch.uint8).reshape(1, 3, 3, 1).expand(1, 3, 3, 3)


def these(mirrored: list[bool], shifts: list[list[int]]) -> Draws:
    return replace(
        draw(len(mirrored), 3, generator()),
        mirrored=torch.tensor(mirrored),
        shifts=torch.tensor(shifts),
    )


def moved(mirrored: bool, down: int, right: int) -> list[list[int]]:
    pixels, mask = move(picture(), these([mirrored], [[down, right]]), LIGHT)
    return (pixels[0, :, :, 0] * mask[0, :, :, 0]).int().tolist()


def test_nothing() -> None:
    assert moved(False, 0, 0) == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_mirror() -> None:
    assert moved(True, 0, 0) == [[3, 2, 1], [6, 5, 4], [9, 8, 7]]


def test_shift_down_and_right_leaves_nothing_behind() -> None:
    assert moved(False, 1, 0) == [[0, 0, 0], [1, 2, 3], [4, 5, 6]]
    assert moved(False, 0, -1) == [[2, 3, 0], [5, 6, 0], [8, 9, 0]]


def test_mirror_then_shift() -> None:
    assert moved(True, 0, 1) == [[0, 3, 2], [0, 6, 5], [0, 9, 8]]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def test_a_policy_takes_what_it_names() -> None:
    pixels = picture().expand(2, 3, 3, 3)
    draws = these([True, True], [[1, 1], [-1, 0]])
    nothing, mask = move(pixels, draws, frozenset())
    assert torch.equal(nothing, pixels)
    assert mask.min() == 1
    mirrored, _ = move(pixels, draws, frozenset({"mirror"}))
    assert torch.equal(mirrored, pixels.flip(2))


def test_the_draws() -> None:
    draws = draw(500, 32, generator())
    assert 200 < int(draws.mirrored.sum()) < 300
    assert set(draws.shifts.flatten().tolist()) == set(range(-4, 5))
    assert set(draws.operation.flatten().tolist()) == set(range(14))


def test_every_image_has_its_own_draw_whatever_the_batch() -> None:
    pixels = torch.randint(0, 256, (30, 16, 16, 3), dtype=torch.uint8, generator=generator())
    draws = draw(30, 16, generator())
    whole, mask = move(pixels, draws, LIGHT)
    for size in (1, 7, 30):
        for first in range(0, 30, size):
            place = slice(first, first + size)
            part, part_mask = move(pixels[place], draws[place], LIGHT)
            assert torch.equal(part, whole[place])
            assert torch.equal(part_mask, mask[place])


def test_the_mask_is_zero_where_nothing_came_to_lie() -> None:
    draws = these([False, True], [[1, -1], [-2, 0]])
    _, mask = move(picture().expand(2, 3, 3, 3), draws, LIGHT)
    assert mask.shape == (2, 3, 3, 1)
    assert mask.dtype == torch.float32
    assert mask[0, :, :, 0].tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 0]]
    assert mask[1, :, :, 0].tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 0]]


def test_colours_stay_together() -> None:
    pixels = torch.arange(27, dtype=torch.uint8).reshape(1, 3, 3, 3)
    got, _ = move(pixels, these([True], [[0, 0]]), LIGHT)
    assert torch.equal(got, pixels.flip(2))
    assert got.dtype == torch.uint8


def test_against_one_image_at_a_time() -> None:
    """The batched gather does what flipping and slicing each image does."""
    pixels = torch.randint(1, 256, (40, 16, 16, 3), dtype=torch.uint8, generator=generator())
    draws = draw(40, 16, generator())
    got, mask = move(pixels, draws, LIGHT)
    for number in range(40):
        image = pixels[number].flip(1) if draws.mirrored[number] else pixels[number]
        down, right = draws.shifts[number].tolist()
        canvas = torch.zeros(20, 20, 3, dtype=torch.uint8)  # a border of 2 on each side
        canvas[2 + down : 18 + down, 2 + right : 18 + right] = image
        expected = canvas[2:18, 2:18]
        assert torch.equal(got[number] * mask[number].to(torch.uint8), expected)
        assert torch.equal(mask[number, :, :, 0] == 1, expected.amin(2) > 0)


def test_the_same_stream_gives_the_same_draws_and_the_next_other_ones() -> None:
    source = generator()
    first, second = draw(99, 16, source), draw(99, 16, source)
    again = draw(99, 16, generator())
    assert torch.equal(first.shifts, again.shifts)
    assert torch.equal(first.mirrored, again.mirrored)
    assert not torch.equal(first.shifts, second.shifts)
