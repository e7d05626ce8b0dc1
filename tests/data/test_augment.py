"""Mirror and shift, by hand on a tiny picture."""

from __future__ import annotations

import torch

from normlab.data.augment import Draws, augment, draw


def picture() -> torch.Tensor:
    """One image of 3×3 with the values 1 to 9."""
    return torch.arange(1, 10, dtype=torch.uint8).reshape(1, 3, 3, 1).expand(1, 3, 3, 3)


def moved(mirrored: bool, down: int, right: int) -> list[list[int]]:
    draws = Draws(torch.tensor([mirrored]), torch.tensor([[down, right]]))
    pixels, mask = augment(picture(), draws)
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


def test_presets_differ_in_their_effect_alone() -> None:
    light, shift, none = (draw(name, 500, 32, generator()) for name in ("light", "shift", "none"))
    assert torch.equal(light.shifts, shift.shifts)
    assert 200 < int(light.mirrored.sum()) < 300
    assert not shift.mirrored.any()
    assert not none.mirrored.any()
    assert not none.shifts.any()
    assert set(light.shifts.flatten().tolist()) == set(range(-4, 5))


def test_every_image_has_its_own_draw_whatever_the_batch() -> None:
    pixels = torch.randint(0, 256, (30, 16, 16, 3), dtype=torch.uint8, generator=generator())
    draws = draw("light", 30, 16, generator())
    whole, mask = augment(pixels, draws)
    for size in (1, 7, 30):
        for first in range(0, 30, size):
            place = slice(first, first + size)
            part, part_mask = augment(pixels[place], draws[place])
            assert torch.equal(part, whole[place])
            assert torch.equal(part_mask, mask[place])


def test_the_mask_is_zero_where_nothing_came_to_lie() -> None:
    draws = Draws(torch.tensor([False, True]), torch.tensor([[1, -1], [-2, 0]]))
    _, mask = augment(picture().expand(2, 3, 3, 3), draws)
    assert mask.shape == (2, 3, 3, 1)
    assert mask.dtype == torch.float32
    assert mask[0, :, :, 0].tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 0]]
    assert mask[1, :, :, 0].tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 0]]


def test_colours_stay_together() -> None:
    pixels = torch.arange(27, dtype=torch.uint8).reshape(1, 3, 3, 3)
    got, _ = augment(pixels, Draws(torch.tensor([True]), torch.tensor([[0, 0]])))
    assert torch.equal(got, pixels.flip(2))
    assert got.dtype == torch.uint8


def test_against_one_image_at_a_time() -> None:
    """The batched gather does what flipping and slicing each image does."""
    pixels = torch.randint(1, 256, (40, 16, 16, 3), dtype=torch.uint8, generator=generator())
    draws = draw("light", 40, 16, generator())
    got, mask = augment(pixels, draws)
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
    first, second = draw("light", 99, 16, source), draw("light", 99, 16, source)
    again = draw("light", 99, 16, generator())
    assert torch.equal(first.shifts, again.shifts)
    assert torch.equal(first.mirrored, again.mirrored)
    assert not torch.equal(first.shifts, second.shifts)


def test_all_presets_leave_the_generator_in_one_state() -> None:
    states = []
    for name in ("none", "shift", "light"):
        source = generator()
        draw(name, 12, 32, source)
        states.append(source.get_state())
    assert torch.equal(states[0], states[1])
    assert torch.equal(states[1], states[2])
